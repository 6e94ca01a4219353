//! A master at the node's desk, where settings are changed, and before its event window.

use register_map::{
    CHANNEL_SETTINGS_CONTENT, CHANNEL_SETTINGS_WORDS, DESK, DESK_COMMIT, DESK_KEY, DESK_WORDS, DeskBlock, EVENT_WORDS, EVENTS,
    EVENTS_WORDS, EventRecord, EventsHead, SETTINGS, SETTINGS_CONTENT, SETTINGS_WORDS, SettingsCrc, WRITE_ENABLE_KEY,
    channel_settings_address, event_address,
};

use crate::bus::{Bus, Refusal};

/// The two registers of a number.
pub fn words_of(number: f32) -> [u16; 2] {
    long_words(number.to_bits())
}

/// The two registers of a count, a date, a key.
pub fn long_words(number: u32) -> [u16; 2] {
    [(number >> 16) as u16, number as u16]
}

/// What the desk shows.
pub fn desk(bus: &mut Bus, unit: u8) -> DeskBlock {
    DeskBlock::decode(&bus.read_surely(unit, DESK, DESK_WORDS as u16)).expect("a believable desk")
}

/// A change of settings under way.
pub struct Change {
    /// The node's own block.
    pub head: [u16; SETTINGS_CONTENT],
    /// Each channel's.
    pub content: Vec<[u16; CHANNEL_SETTINGS_CONTENT]>,
    /// The version that it replaces.
    pub version: u16,
}

impl Change {
    /// Opens the desk and reads what is in force.
    pub fn begin(bus: &mut Bus, unit: u8) -> Change {
        bus.write(unit, DESK_KEY, &long_words(WRITE_ENABLE_KEY)).expect("the right key opens the desk");
        let head = bus.read_surely(unit, SETTINGS, SETTINGS_WORDS as u16);
        let content = (0..head[1]).map(|channel| {
            let words = bus.read_surely(unit, channel_settings_address(channel), CHANNEL_SETTINGS_WORDS as u16);
            words[..CHANNEL_SETTINGS_CONTENT].try_into().expect("a channel's content")
        });
        let content = content.collect();
        Change { head: head[..SETTINGS_CONTENT].try_into().expect("the head's content"), content, version: desk(bus, unit).version }
    }

    /// CRC-32 of the whole.
    pub fn crc(&self) -> u32 {
        let mut crc = SettingsCrc::new();
        crc.words(&self.head);
        self.content.iter().for_each(|channel| crc.words(channel));
        crc.end()
    }

    /// Writes it block by block, without putting it in force.
    pub fn stage(&self, bus: &mut Bus, unit: u8) -> Result<(), Refusal> {
        bus.write(unit, SETTINGS, &self.head)?;
        (0..).zip(&self.content).try_for_each(|(channel, content)| bus.write(unit, channel_settings_address(channel), content))
    }

    /// Writes it and puts it in force.
    pub fn commit(&self, bus: &mut Bus, unit: u8) -> Result<(), Refusal> {
        self.stage(bus, unit)?;
        let [high, low] = long_words(self.crc());
        bus.write(unit, DESK_COMMIT, &[self.version, high, low])
    }
}

/// All events that the node holds, oldest first.
pub fn events(bus: &mut Bus, unit: u8) -> Vec<EventRecord> {
    let head = EventsHead::decode(&bus.read_surely(unit, EVENTS, EVENTS_WORDS as u16)).expect("a believable head");
    let record = |sequence| {
        let words = bus.read_surely(unit, event_address(sequence, head.capacity), EVENT_WORDS as u16);
        EventRecord::decode(sequence, head.capacity, &words).expect("a believable record")
    };
    (head.oldest..=head.newest).filter_map(record).collect()
}
