//! The event window: what happened to the node, read with function 3 or 4 and never written.
//!
//! A head names the oldest and the newest sequence that are held. The record of a sequence stands at
//! `EVENT_RECORDS + (sequence mod capacity) * EVENT_WORDS`, so its address never moves, and it carries its sequence: a master
//! that reads while the ring turns sees another sequence than it asked for, not a wrong event.

use crate::check::{BlockError, check_word, get_u32, put_u32, verified};

/// Address of the head.
pub const EVENTS: u16 = 0x1000;
/// Registers of the head.
pub const EVENTS_WORDS: usize = 8;
/// Address of the first record.
pub const EVENT_RECORDS: u16 = 0x1010;
/// Registers of a record: twelve fit one request.
pub const EVENT_WORDS: usize = 10;
/// Most records that a node may offer.
pub const MAX_EVENT_RECORDS: u16 = (u16::MAX - EVENT_RECORDS) / EVENT_WORDS as u16;

/// Address of the record of this sequence.
pub const fn event_address(sequence: u32, capacity: u16) -> u16 {
    let slot = if capacity == 0 { 0 } else { (sequence % capacity as u32) as u16 };
    EVENT_RECORDS + slot * EVENT_WORDS as u16
}

/// What the head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventsHead {
    /// Oldest sequence that is held; one more than `newest` when there is none.
    pub oldest: u32,
    /// Newest sequence; zero when nothing ever happened.
    pub newest: u32,
    /// How many records fit.
    pub capacity: u16,
}

impl EventsHead {
    /// The block's registers.
    pub fn encode(&self) -> [u16; EVENTS_WORDS] {
        let mut words = [0; EVENTS_WORDS];
        put_u32(&mut words, 0, self.oldest);
        put_u32(&mut words, 2, self.newest);
        words[4] = self.capacity;
        words[5] = EVENT_WORDS as u16;
        words[EVENTS_WORDS - 1] = check_word(EVENTS, &words[..EVENTS_WORDS - 1]);
        words
    }

    /// Reads the block's registers.
    pub fn decode(registers: &[u16]) -> Result<EventsHead, BlockError> {
        let words: &[u16; EVENTS_WORDS] = verified(EVENTS, registers)?;
        Ok(EventsHead { oldest: get_u32(words, 0), newest: get_u32(words, 2), capacity: words[4] })
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $code:literal,)+) => {
        /// What happened. A code is never reused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum EventKind { $($(#[$doc])* $variant = $code,)+ }

        impl EventKind {
            /// Every kind, in the order of the codes.
            pub const ALL: &'static [EventKind] = &[$(EventKind::$variant),+];

            /// The kind with this code.
            pub const fn from_code(code: u8) -> Option<EventKind> {
                match code { $($code => Some(EventKind::$variant),)+ _ => None }
            }
        }
    };
}

kinds! {
    /// The node started; detail is the reset cause.
    Started = 1,
    /// The first level was exceeded; detail is the value as f32, NaN when there was none.
    LowRaised = 2,
    /// The first level returned.
    LowReturned = 3,
    /// The second level was exceeded; detail as for the first.
    HighRaised = 4,
    /// The second level returned.
    HighReturned = 5,
    /// The value returned and the alarm is held by its latch.
    Latched = 6,
    /// A person reset the alarm and the over-range latch.
    AlarmReset = 7,
    /// A person silenced the sounder.
    Silenced = 8,
    /// A channel has no value, or a doubtful one; detail is the quality byte.
    TroubleBegan = 9,
    /// That trouble is over; detail is the quality byte it had.
    TroubleEnded = 10,
    /// A channel has warmed up and protects.
    WarmUpEnded = 11,
    /// Settings were changed; detail is the new hash, `more` the new version.
    SettingsChanged = 12,
    /// A channel was calibrated; detail is the date as a decimal number.
    Calibrated = 13,
    /// Both copies of the settings were damaged.
    SettingsLost = 14,
    /// Somebody wrote a wrong key.
    KeyRefused = 15,
    /// The beacon was ordered on and stayed dark.
    BeaconFailed = 16,
    /// The beacon was seen to work again.
    BeaconWorks = 17,
    /// The event log found at the start was not whole and began anew.
    LogLost = 18,
}

/// One event, or several of a kind within four hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventRecord {
    /// Counts the events of the node's life, from one.
    pub sequence: u32,
    /// What happened.
    pub kind: EventKind,
    /// Which channel, when it is about one.
    pub channel: Option<u8>,
    /// Low half of the boot count in which it happened.
    pub boot: u16,
    /// Seconds since that boot, of the first one.
    pub uptime_s: u32,
    /// See the kind.
    pub detail: u32,
    /// For [`EventKind::SettingsChanged`] the version; else how often it happened in the high byte (255: as often or more),
    /// and in the low byte the minutes from the first to the last time.
    pub more: u16,
}

impl EventRecord {
    /// How often it happened; 255 means as often or more.
    pub const fn count(&self) -> u8 {
        if matches!(self.kind, EventKind::SettingsChanged) { 1 } else { (self.more >> 8) as u8 }
    }

    /// Minutes from the first to the last time.
    pub const fn span_min(&self) -> u8 {
        if matches!(self.kind, EventKind::SettingsChanged) { 0 } else { self.more as u8 }
    }

    /// The record's registers, in a ring of this capacity.
    pub fn encode(&self, capacity: u16) -> [u16; EVENT_WORDS] {
        let mut words = [0; EVENT_WORDS];
        put_u32(&mut words, 0, self.sequence);
        words[2] = u16::from(self.kind as u8) << 8 | u16::from(self.channel.unwrap_or(u8::MAX));
        words[3] = self.boot;
        put_u32(&mut words, 4, self.uptime_s);
        put_u32(&mut words, 6, self.detail);
        words[8] = self.more;
        words[EVENT_WORDS - 1] = check_word(event_address(self.sequence, capacity), &words[..EVENT_WORDS - 1]);
        words
    }

    /// The registers of a place that holds nothing: never used, or found damaged.
    pub fn absent(sequence: u32, capacity: u16) -> [u16; EVENT_WORDS] {
        let mut words = [0; EVENT_WORDS];
        words[EVENT_WORDS - 1] = check_word(event_address(sequence, capacity), &words[..EVENT_WORDS - 1]);
        words
    }

    /// Reads the registers found where this sequence belongs. `None` when the place holds nothing, another sequence, or a kind of
    /// a later version.
    pub fn decode(sequence: u32, capacity: u16, registers: &[u16]) -> Result<Option<EventRecord>, BlockError> {
        let words: &[u16; EVENT_WORDS] = verified(event_address(sequence, capacity), registers)?;
        let Some(kind) = EventKind::from_code((words[2] >> 8) as u8) else { return Ok(None) };
        if get_u32(words, 0) != sequence {
            return Ok(None);
        }
        Ok(Some(EventRecord {
            sequence,
            kind,
            channel: Some(words[2] as u8).filter(|channel| *channel != u8::MAX),
            boot: words[3],
            uptime_s: get_u32(words, 4),
            detail: get_u32(words, 6),
            more: words[8],
        }))
    }
}
