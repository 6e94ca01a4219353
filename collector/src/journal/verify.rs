//! Walks the chain and says whether the journal is what was written.

use super::{Entry, Hash, Head};

/// What is wrong first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// This number is missing, doubled or out of place; the one found instead follows.
    Number { expected: u64, found: u64 },
    /// The entry's content does not have its hash: it was edited, or an entry before it was.
    Content { number: u64 },
    /// The journal ends before an anchor, or is another one there: its tail was cut or all of it rewritten.
    Anchor { count: u64, entries: u64 },
}

impl Finding {
    /// The number of the first bad entry.
    pub fn first_bad(&self) -> u64 {
        match self {
            Finding::Number { expected, .. } => *expected,
            Finding::Content { number } => *number,
            Finding::Anchor { count, entries } => (*count).min(entries + 1),
        }
    }

    /// One sentence in Chinese and one in English.
    pub fn sentences(&self) -> (String, String) {
        match self {
            Finding::Number { expected, found } => (
                format!("日志第 {expected} 条缺失或被移动:其位置上是第 {found} 条"),
                format!("journal entry {expected} is missing or was moved: entry {found} stands in its place"),
            ),
            Finding::Content { number } => (
                format!("日志第 {number} 条的内容与其哈希不符:被改动过"),
                format!("journal entry {number} does not match its hash: it was changed"),
            ),
            Finding::Anchor { count, entries } => (
                format!("日志曾有 {count} 条,现有 {entries} 条与当时的锚点不符:尾部被截断或整体被改写"),
                format!(
                    "the journal once had {count} entries; its present {entries} do not match that anchor: its tail was cut or it was rewritten"
                ),
            ),
        }
    }
}

/// Takes entries in the order they are stored and keeps the first thing that is wrong.
#[derive(Debug)]
pub struct Verifier {
    head: Head,
    anchors: Vec<Head>,
    finding: Option<Finding>,
}

impl Verifier {
    /// A verifier that also holds the journal against these anchors.
    pub fn new(anchors: Vec<Head>) -> Verifier {
        let at_genesis = |anchor: &Head| anchor.count == 0 && anchor.hash != Hash::genesis();
        let finding = anchors.iter().any(at_genesis).then_some(Finding::Anchor { count: 0, entries: 0 });
        Verifier { head: Head::genesis(), anchors, finding }
    }

    /// The next entry. After the first finding the rest is only counted.
    pub fn take(&mut self, entry: &Entry) {
        let expected = self.head.count + 1;
        if self.finding.is_none() {
            if entry.number != expected {
                self.finding = Some(Finding::Number { expected, found: entry.number });
            } else if entry.link(self.head.hash) != entry.hash {
                self.finding = Some(Finding::Content { number: entry.number });
            } else if self.anchors.iter().any(|anchor| anchor.count == expected && anchor.hash != entry.hash) {
                self.finding = Some(Finding::Anchor { count: expected, entries: expected });
            }
        }
        self.head = Head { count: expected, hash: entry.hash };
    }

    /// No more entries: how many there were, and what was wrong.
    pub fn finish(self) -> (Head, Option<Finding>) {
        let cut = self.anchors.iter().find(|anchor| anchor.count > self.head.count);
        let cut = cut.map(|anchor| Finding::Anchor { count: anchor.count, entries: self.head.count });
        (self.head, self.finding.or(cut))
    }
}

/// Verifies a whole journal that is in memory.
pub fn verify(entries: &[Entry], anchors: Vec<Head>) -> Result<Head, Finding> {
    let mut verifier = Verifier::new(anchors);
    entries.iter().for_each(|entry| verifier.take(entry));
    match verifier.finish() {
        (head, None) => Ok(head),
        (_, Some(finding)) => Err(finding),
    }
}
