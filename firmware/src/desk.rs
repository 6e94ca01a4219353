//! The desk where settings are changed: opened by a key, for a minute, and all of a change or nothing.

use measurement::MonotonicMs;
use register_map::{
    CHANNEL_SETTINGS, CHANNEL_SETTINGS_CONTENT, CHANNEL_SETTINGS_WORDS, DeskBlock, Refusal, SETTINGS, SETTINGS_CONTENT, WRITE_ENABLE_KEY,
};

use crate::settings::{Refused, Sheet};

/// How long a key opens the desk.
pub const OPEN_MS: u64 = 60_000;

/// Why a write was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotStaged {
    /// No setting stands there.
    Address,
    /// The desk is shut.
    Shut,
}

/// Holds the staged copy while it is open.
#[derive(Debug, Clone)]
pub struct Desk<const CHANNELS: usize> {
    open: Option<(MonotonicMs, Sheet<CHANNELS>)>,
    refused: Refused,
}

const NOTHING_REFUSED: Refused = Refused { refusal: Refusal::None, channel: None };

impl<const CHANNELS: usize> Desk<CHANNELS> {
    /// A shut desk.
    pub const fn new() -> Desk<CHANNELS> {
        Desk { open: None, refused: NOTHING_REFUSED }
    }

    /// The right key opens it with a fresh copy of what is in force; a wrong one shuts it.
    pub fn unlock(&mut self, key: u32, in_force: impl FnOnce() -> Sheet<CHANNELS>, now: MonotonicMs) -> bool {
        let right = key == WRITE_ENABLE_KEY;
        self.open = right.then(|| (now, in_force()));
        self.refused = if right { NOTHING_REFUSED } else { Refused { refusal: Refusal::Key, channel: None } };
        right
    }

    /// Writes words into the staged copy: within the content of one block, or not at all.
    pub fn stage(&mut self, address: u16, words: &[u16], now: MonotonicMs) -> Result<(), NotStaged> {
        let place = place(address).ok_or(NotStaged::Address)?;
        if self.staged(now).is_none() {
            // That the block is there and has room is known only of an open desk; a shut one says so for every setting's address.
            self.refuse(Refused { refusal: Refusal::Shut, channel: None });
            return Err(NotStaged::Shut);
        }
        let Some((_, sheet)) = &mut self.open else { return Err(NotStaged::Shut) };
        let content = match place {
            Place::Node { at } => sheet.head.get_mut(at..),
            Place::Channel { index, at } => sheet.channels.get_mut(index).and_then(|content| content.get_mut(at..)),
        };
        let target = content.and_then(|content| content.get_mut(..words.len())).ok_or(NotStaged::Address)?;
        target.copy_from_slice(words);
        Ok(())
    }

    /// The staged copy, while the desk is open.
    pub fn staged(&self, now: MonotonicMs) -> Option<&Sheet<CHANNELS>> {
        self.open.as_ref().filter(|(since, _)| now.since(*since) < OPEN_MS).map(|(_, sheet)| sheet)
    }

    /// Remembers why, for the registers. The staged copy stays, to be mended.
    pub fn refuse(&mut self, refused: Refused) {
        self.refused = refused;
    }

    /// A commit was put in force.
    pub fn shut(&mut self) {
        self.open = None;
        self.refused = NOTHING_REFUSED;
    }

    /// What the desk shows.
    pub fn block(&self, version: u16, hash: u32, now: MonotonicMs) -> DeskBlock {
        let left_ms = match &self.open {
            Some((since, _)) => OPEN_MS.saturating_sub(now.since(*since)),
            None => 0,
        };
        DeskBlock {
            version,
            content_crc: self.staged(now).map_or(hash, Sheet::crc),
            open_s: left_ms.div_ceil(1000) as u16,
            refusal: self.refused.refusal,
            refused_channel: self.refused.channel,
        }
    }
}

impl<const CHANNELS: usize> Default for Desk<CHANNELS> {
    fn default() -> Desk<CHANNELS> {
        Desk::new()
    }
}

enum Place {
    Node { at: usize },
    Channel { index: usize, at: usize },
}

fn place(address: u16) -> Option<Place> {
    if let Some(at) = address.checked_sub(CHANNEL_SETTINGS).map(usize::from) {
        let (index, at) = (at / CHANNEL_SETTINGS_WORDS, at % CHANNEL_SETTINGS_WORDS);
        return (index < CHANNELS_OF_THE_MAP && at < CHANNEL_SETTINGS_CONTENT).then_some(Place::Channel { index, at });
    }
    let at = usize::from(address.checked_sub(SETTINGS)?);
    (at < SETTINGS_CONTENT).then_some(Place::Node { at })
}

const CHANNELS_OF_THE_MAP: usize = register_map::MAX_CHANNELS as usize;

#[cfg(test)]
mod tests;
