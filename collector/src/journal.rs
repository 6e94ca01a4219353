//! The journal: who did what, when, and what happened. Append-only and hash-chained (promise P15).
//!
//! `hash(n) = SHA-256(hash(n-1) ‖ canonical(n))`, `hash(0) = SHA-256("davy journal 1")`. The canonical bytes of
//! an entry are: number (u64, big-endian), at (i64, big-endian, Unix ms), then kind, about, who, text_zh and
//! text_en, each as its length in bytes (u32, big-endian) and its UTF-8 bytes. Nothing else of an entry exists.
//!
//! An edited, deleted, inserted or moved entry breaks the chain. A cut-off tail does not; it is found by the
//! *anchor*, the count and head kept in a file of its own beside the data and renewed after every commit. An
//! anchor that once disagreed with the journal is never overwritten: a cut stays visible for ever.

pub mod anchor;
pub mod verify;

use measurement::Timestamp;
use sha2::{Digest, Sha256};

/// Something that happened, for people and inspectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// `gateway.lost`, `payload.refused`, `gap.declared`, `user.signed_in` …
    pub kind: &'static str,
    /// The thing it is about: a channel's tag, a gateway, a user.
    pub about: String,
    /// Who did it; `davy` when no person did.
    pub who: String,
    pub text_zh: String,
    pub text_en: String,
}

impl Fact {
    /// A fact that no person caused.
    pub fn seen(kind: &'static str, about: impl Into<String>, text_zh: impl Into<String>, text_en: impl Into<String>) -> Fact {
        Fact { kind, about: about.into(), who: "davy".to_owned(), text_zh: text_zh.into(), text_en: text_en.into() }
    }

    /// A fact that a person caused.
    pub fn done(kind: &'static str, who: &str, about: impl Into<String>, text_zh: impl Into<String>, text_en: impl Into<String>) -> Fact {
        Fact { kind, about: about.into(), who: who.to_owned(), text_zh: text_zh.into(), text_en: text_en.into() }
    }
}

/// A link of the chain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Before the first entry.
    pub fn genesis() -> Hash {
        Hash(Sha256::digest(b"davy journal 1").into())
    }

    /// As 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// From 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Hash> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).ok()?;
        }
        Some(Hash(bytes))
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.hex())
    }
}

/// One entry, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Counting from 1, without holes.
    pub number: u64,
    pub at: Timestamp,
    pub kind: String,
    pub about: String,
    pub who: String,
    pub text_zh: String,
    pub text_en: String,
    pub hash: Hash,
}

impl Entry {
    /// The next entry of a chain.
    pub fn following(head: Head, at: Timestamp, fact: &Fact) -> Entry {
        let mut entry = Entry {
            number: head.count + 1,
            at,
            kind: fact.kind.to_owned(),
            about: fact.about.clone(),
            who: fact.who.clone(),
            text_zh: fact.text_zh.clone(),
            text_en: fact.text_en.clone(),
            hash: head.hash,
        };
        entry.hash = entry.link(head.hash);
        entry
    }

    /// What its hash must be after this predecessor.
    pub fn link(&self, previous: Hash) -> Hash {
        let mut sum = Sha256::new();
        sum.update(previous.0);
        sum.update(self.canonical());
        Hash(sum.finalize().into())
    }

    /// The bytes that are hashed; the form is in this file's head.
    pub fn canonical(&self) -> Vec<u8> {
        let texts = [&self.kind, &self.about, &self.who, &self.text_zh, &self.text_en];
        let mut bytes = Vec::with_capacity(16 + texts.iter().map(|text| text.len() + 4).sum::<usize>());
        bytes.extend(self.number.to_be_bytes());
        bytes.extend(self.at.0.to_be_bytes());
        for text in texts {
            bytes.extend((text.len() as u32).to_be_bytes());
            bytes.extend(text.as_bytes());
        }
        bytes
    }
}

/// Where a chain ends: how many entries, and the last one's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub count: u64,
    pub hash: Hash,
}

impl Head {
    /// Of an empty journal.
    pub fn genesis() -> Head {
        Head { count: 0, hash: Hash::genesis() }
    }

    /// After this entry.
    pub fn after(entry: &Entry) -> Head {
        Head { count: entry.number, hash: entry.hash }
    }
}

#[cfg(test)]
mod tests;
