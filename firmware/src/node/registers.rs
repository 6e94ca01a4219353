//! What the node shows: every block of the register map, encoded when it is asked for.

use heapless::Vec;
use measurement::MonotonicMs;
use register_map::{
    CHANNEL_SETTINGS, CHANNEL_SETTINGS_WORDS, CHANNEL_WORDS, ChannelBlock, DESK, DESK_WORDS, EVENT_RECORDS, EVENT_WORDS, EVENTS,
    EVENTS_WORDS, EventRecord, FIRST_CHANNEL, HEALTH, HEALTH_WORDS, IDENTITY, IDENTITY_WORDS, Identity, SETTINGS, SETTINGS_WORDS,
};

use super::Node;
use crate::event_log::LogMemory;

/// The longest block.
type Words = Vec<u16, CHANNEL_SETTINGS_WORDS>;

impl<const CHANNELS: usize, M: LogMemory> Node<CHANNELS, M> {
    /// The word at a register, `None` where the map has none.
    pub fn register(&self, address: u16, now: MonotonicMs) -> Option<u16> {
        let mut word = [0];
        self.registers(address, &mut word, now).ok()?;
        Some(word[0])
    }

    /// Fills `words` from the registers at `address`, or gives the first address that does not exist. All
    /// words of one call are of one instant.
    pub fn registers(&self, address: u16, words: &mut [u16], now: MonotonicMs) -> Result<(), u16> {
        let mut at = address;
        let mut rest = words;
        while !rest.is_empty() {
            let (block, offset) = self.block_at(at, now).ok_or(at)?;
            let block = block.get(offset..).ok_or(at)?;
            let taken = block.len().min(rest.len());
            rest[..taken].copy_from_slice(&block[..taken]);
            rest = &mut rest[taken..];
            if !rest.is_empty() {
                at = at.checked_add(taken as u16).ok_or(at)?;
            }
        }
        Ok(())
    }

    /// The block that holds this register, and where in it.
    fn block_at(&self, address: u16, now: MonotonicMs) -> Option<(Words, usize)> {
        let within = |base: u16, words: usize| address.checked_sub(base).map(usize::from).filter(|offset| *offset < words);
        if let Some(offset) = within(IDENTITY, IDENTITY_WORDS) {
            return Some((block(&self.identity(now).encode()), offset));
        }
        if let Some(offset) = within(FIRST_CHANNEL, CHANNEL_WORDS * self.channels.len()) {
            let index = offset / CHANNEL_WORDS;
            return Some((block(&self.channel_block(index, now)?.encode(index as u16)), offset % CHANNEL_WORDS));
        }
        if let Some(offset) = within(HEALTH, HEALTH_WORDS) {
            return Some((block(&self.health().encode()), offset));
        }
        if let Some(offset) = within(SETTINGS, SETTINGS_WORDS) {
            return Some((block(&self.settings_head().encode()), offset));
        }
        if let Some(offset) = within(DESK, DESK_WORDS) {
            return Some((block(&self.desk.block(self.version, self.hash, now).encode()), offset));
        }
        if let Some(offset) = within(CHANNEL_SETTINGS, CHANNEL_SETTINGS_WORDS * self.channels.len()) {
            let index = offset / CHANNEL_SETTINGS_WORDS;
            let settings = self.channels.get(index)?.settings_block();
            return Some((block(&settings.encode(index as u16)), offset % CHANNEL_SETTINGS_WORDS));
        }
        if let Some(offset) = within(EVENTS, EVENTS_WORDS) {
            return Some((block(&self.log.head().encode()), offset));
        }
        let capacity = self.log.capacity();
        let offset = within(EVENT_RECORDS, EVENT_WORDS * usize::from(capacity))?;
        let slot = (offset / EVENT_WORDS) as u16;
        let sequence = self.log.sequence_in(slot);
        let words = match self.log.record(sequence) {
            Some(record) => record.encode(capacity),
            // A place that holds nothing is empty under the sequence of its own slot, so that its check word is its address's.
            None => EventRecord::absent(u32::from(slot), capacity),
        };
        Some((block(&words), offset % EVENT_WORDS))
    }

    fn identity(&self, now: MonotonicMs) -> Identity {
        Identity {
            serial: self.identity.serial,
            firmware: self.identity.firmware,
            boot_count: self.identity.boot_count,
            uptime_s: (now.0 / 1000) as u32,
            reset_cause: self.identity.reset_cause,
            channels: self.channels.len() as u16,
            settings_version: self.version,
            settings_hash: self.hash,
        }
    }

    fn channel_block(&self, index: usize, now: MonotonicMs) -> Option<ChannelBlock> {
        let channel = self.channels.get(index)?;
        Some(ChannelBlock {
            sequence: channel.sequence,
            outcome: channel.outcome,
            unit: channel.settings.unit,
            quantity: channel.settings.quantity,
            device_fault: 0,
            sample_age_ms: u32::try_from(now.since(channel.sampled_at)).unwrap_or(u32::MAX),
            range_low: channel.settings.self_test.range.0,
            range_high: channel.settings.self_test.range.1,
            local_alarm: channel.annunciator.shown().bits(),
            boot: self.identity.boot_count as u8,
        })
    }
}

fn block(words: &[u16]) -> Words {
    words.iter().copied().take(CHANNEL_SETTINGS_WORDS).collect()
}
