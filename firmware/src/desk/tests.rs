//! The walk of a change, as a master makes it: whole frames to a whole station.

use std::vec::Vec;

use measurement::{ChannelId, Limit, Outcome, Unit, Value};
use register_map::{
    CHANNEL_SETTINGS_CONTENT, ChannelSettingsBlock, DESK, DESK_WORDS, EventKind, Identity, NodeSettingsBlock, ResetCause, SettingsCrc,
    channel_settings_address,
};

use super::*;
use crate::event_log::LOG_WORDS;
use crate::modbus::{Framer, MAX_FRAME, crc16};
use crate::node::{Node, NodeSettings};
use crate::ram_flash::RamFlash;
use crate::settings::{Keep, Kept, NotKept};
use crate::settings_store::SettingsStore;
use crate::shipped::FOUR_GAS_CHANNELS;
use crate::station::Station;
use crate::{Outputs, Signal};

const IDENTITY: NodeSettings = NodeSettings { serial: 1, firmware: 1, boot_count: 1, reset_cause: ResetCause::PowerOn, unit: 17 };
const CO: u16 = 0;

/// Keeps as flash does until it is made to fail.
struct Flash {
    store: SettingsStore<RamFlash<Vec<u8>>>,
    fails: bool,
}

impl Keep<4> for Flash {
    fn kept(&mut self, sheet: &mut Sheet<4>) -> Kept {
        self.store.kept(sheet)
    }

    fn keep(&mut self, version: u16, sheet: &Sheet<4>) -> Result<(), NotKept> {
        if self.fails { Err(NotKept) } else { self.store.keep(version, sheet) }
    }

    fn lasts(&self) -> bool {
        true
    }
}

/// A master and its node on one line.
struct Bus {
    station: Station<4, Flash>,
    unit: u8,
    now_us: u64,
}

impl Bus {
    fn new() -> Bus {
        Bus::with(false)
    }

    fn with(fails: bool) -> Bus {
        let keep = Flash { store: SettingsStore::new(RamFlash::blank(std::vec![0; 2048]), 0, 4), fails };
        let mut station = Station::new([0; LOG_WORDS], keep, Framer::new(9600));
        station.begin(IDENTITY, &FOUR_GAS_CHANNELS);
        Bus { station, unit: 17, now_us: 0 }
    }

    /// The answer's function and data, or nothing.
    fn ask(&mut self, unit: u8, pdu: &[u8]) -> Option<Vec<u8>> {
        let mut frame = std::vec![unit];
        frame.extend(pdu);
        frame.extend(crc16(&frame).to_le_bytes());
        for byte in frame {
            self.now_us += 1146;
            self.station.line_byte(byte, self.now_us);
        }
        self.now_us += 5000;
        let mut out = [0; MAX_FRAME];
        let length = self.station.answer(self.now_us, &mut out)?;
        assert_eq!(out[0], unit, "the answer comes from the unit that was asked");
        Some(out[1..length - 2].to_vec())
    }

    fn read<const N: usize>(&mut self, address: u16) -> [u16; N] {
        let [a, b] = address.to_be_bytes();
        let answer = self.ask(self.unit, &[3, a, b, 0, N as u8]).expect("an answer");
        assert_eq!(answer[..2], [3, 2 * N as u8]);
        core::array::from_fn(|i| u16::from_be_bytes([answer[2 + 2 * i], answer[3 + 2 * i]]))
    }

    fn write_as(&mut self, unit: u8, address: u16, words: &[u16]) -> Option<Vec<u8>> {
        let [a, b] = address.to_be_bytes();
        let mut pdu = std::vec![16, a, b, 0, words.len() as u8, 2 * words.len() as u8];
        pdu.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        self.ask(unit, &pdu)
    }

    /// Nothing, or the exception.
    fn write(&mut self, address: u16, words: &[u16]) -> Result<(), u8> {
        let answer = self.write_as(self.unit, address, words).expect("an answer");
        match answer[..] {
            [16, ..] if answer.len() == 5 => Ok(()),
            [0x90, exception] => Err(exception),
            _ => panic!("{answer:?}"),
        }
    }

    fn key(&mut self, key: u32) -> Result<(), u8> {
        self.write(register_map::DESK_KEY, &[(key >> 16) as u16, key as u16])
    }

    fn commit(&mut self, version: u16, crc: u32) -> Result<(), u8> {
        self.write(register_map::DESK_COMMIT, &[version, (crc >> 16) as u16, crc as u16])
    }

    fn desk(&mut self) -> DeskBlock {
        DeskBlock::decode(&self.read::<DESK_WORDS>(DESK)).unwrap()
    }

    fn channel(&mut self, channel: u16) -> ChannelSettingsBlock {
        ChannelSettingsBlock::decode(channel, &self.read::<CHANNEL_SETTINGS_WORDS>(channel_settings_address(channel))).unwrap()
    }

    fn identity(&mut self) -> Identity {
        Identity::decode(&self.read::<18>(0)).unwrap()
    }

    /// The CRC that a gateway computes from what it reads.
    fn attested(&mut self) -> u32 {
        let mut crc = SettingsCrc::new();
        crc.words(&self.read::<SETTINGS_CONTENT>(SETTINGS));
        for channel in 0..4 {
            crc.words(&self.read::<CHANNEL_SETTINGS_CONTENT>(channel_settings_address(channel)));
        }
        crc.end()
    }

    /// Opens the desk, writes CO's settings changed like this, and commits what the desk then shows.
    fn change(&mut self, change: impl FnOnce(&mut ChannelSettingsBlock)) -> Result<(), u8> {
        let mut block = self.channel(CO);
        change(&mut block);
        self.key(WRITE_ENABLE_KEY)?;
        self.write(channel_settings_address(CO), &block.content())?;
        let DeskBlock { version, content_crc, .. } = self.desk();
        self.commit(version, content_crc)
    }
}

fn raised(limit: Option<Limit>, by: f32) -> Option<Limit> {
    let limit = limit?;
    Some(Limit { setpoint: Value::new(limit.setpoint.get() + by)?, ..limit })
}

#[test]
fn what_is_shipped_is_attested_as_version_zero() {
    let mut bus = Bus::new();
    let identity = bus.identity();
    assert_eq!((identity.settings_version, identity.settings_hash), (0, bus.attested()));
    let block = bus.channel(2);
    assert_eq!((block.unit, block.low, block.high), (Unit::PercentVol, FOUR_GAS_CHANNELS[2].low, FOUR_GAS_CHANNELS[2].high));
}

#[test]
fn a_commit_puts_all_of_a_change_in_force_counts_it_and_is_attested() {
    let mut bus = Bus::new();
    let before = bus.identity().settings_hash;
    bus.change(|co| (co.low, co.latching) = (raised(co.low, 3.0), true)).unwrap();
    let identity = bus.identity();
    assert_eq!(identity.settings_version, 1);
    assert_ne!(identity.settings_hash, before);
    assert_eq!(identity.settings_hash, bus.attested());
    // 18 ppm was beyond the old limit of 17 and is not beyond the new one of 20.
    let node = bus.station.node_mut();
    assert_eq!(node.sample(ChannelId(0), Signal::Number(18.0), 20.0, MonotonicMs(0)), Outputs { fault: true, ..Outputs::default() });
    assert!(node.sample(ChannelId(0), Signal::Number(20.0), 20.0, MonotonicMs(0)).sounder);
    let head = bus.station.node().events().head();
    let found = (head.oldest..=head.newest).filter_map(|sequence| bus.station.node().events().record(sequence));
    let change = found.into_iter().find(|record| record.kind == EventKind::SettingsChanged).unwrap();
    assert_eq!((change.more, change.detail), (1, identity.settings_hash));
}

#[test]
fn what_was_committed_is_in_force_after_the_next_start() {
    let mut bus = Bus::new();
    bus.change(|co| co.high = raised(co.high, 5.0)).unwrap();
    let mut node = Node::<4>::sized(IDENTITY, &FOUR_GAS_CHANNELS);
    node.restore(&mut bus.station.keep_mut().store);
    assert_eq!(node.settings_version(), bus.station.node().settings_version());
    assert_eq!(node.limits(ChannelId(0)), bus.station.node().limits(ChannelId(0)));
}

#[test]
fn without_the_key_or_with_a_wrong_one_nothing_is_staged() {
    let mut bus = Bus::new();
    assert_eq!(bus.write(SETTINGS, &[42]), Err(4));
    assert_eq!(bus.desk().refusal, Refusal::Shut);
    assert_eq!(bus.key(WRITE_ENABLE_KEY ^ 1), Err(4));
    assert_eq!((bus.desk().refusal, bus.desk().open_s), (Refusal::Key, 0));
    bus.key(WRITE_ENABLE_KEY).unwrap();
    bus.write(SETTINGS, &[42]).unwrap();
    assert_eq!(bus.key(0), Err(4), "a wrong key shuts an open desk");
    let DeskBlock { version, content_crc, .. } = bus.desk();
    assert_eq!(bus.commit(version, content_crc), Err(4));
    assert_eq!(bus.station.node().unit(), 17);
}

#[test]
fn the_desk_shuts_after_a_minute_and_forgets_what_was_staged() {
    let mut bus = Bus::new();
    bus.key(WRITE_ENABLE_KEY).unwrap();
    bus.write(SETTINGS, &[42]).unwrap();
    let staged = bus.desk().content_crc;
    assert!((1..=60).contains(&bus.desk().open_s));
    bus.now_us += 60_000_000;
    assert_eq!(bus.desk().open_s, 0);
    assert_eq!(bus.desk().content_crc, bus.identity().settings_hash);
    assert_eq!(bus.commit(0, staged), Err(4));
    bus.key(WRITE_ENABLE_KEY).unwrap();
    assert_eq!(bus.desk().content_crc, bus.identity().settings_hash, "a fresh copy of what is in force");
}

#[test]
fn a_commit_for_another_version_or_another_content_is_refused_and_can_be_mended() {
    let mut bus = Bus::new();
    bus.key(WRITE_ENABLE_KEY).unwrap();
    bus.write(SETTINGS, &[42]).unwrap();
    let crc = bus.desk().content_crc;
    assert_eq!(bus.commit(1, crc), Err(4));
    assert_eq!(bus.desk().refusal, Refusal::Version);
    assert_eq!(bus.commit(0, crc ^ 1), Err(4));
    assert_eq!(bus.desk().refusal, Refusal::Content);
    assert_eq!(bus.station.node().settings_version().0, 0);
    bus.commit(0, crc).unwrap();
    assert_eq!(bus.station.node().settings_version().0, 1);
}

#[test]
fn a_change_of_which_one_part_is_refused_changes_nothing() {
    let mut bus = Bus::new();
    let before = bus.attested();
    bus.key(WRITE_ENABLE_KEY).unwrap();
    bus.write(SETTINGS, &[42]).unwrap();
    let mut good = bus.channel(CO);
    good.high = raised(good.high, 1.0);
    bus.write(channel_settings_address(CO), &good.content()).unwrap();
    let mut bad = bus.channel(1);
    bad.low = raised(bad.low, -7.0);
    bus.write(channel_settings_address(1), &bad.content()).unwrap();
    let crc = bus.desk().content_crc;
    assert_eq!(bus.commit(0, crc), Err(4));
    let desk = bus.desk();
    assert_eq!((desk.refusal, desk.refused_channel, desk.version), (Refusal::Inconsistent, Some(1), 0));
    assert_eq!(bus.attested(), before);
    assert_eq!(bus.station.node().unit(), 17);
}

#[test]
fn flash_that_fails_refuses_the_change() {
    let mut bus = Bus::with(true);
    let before = bus.attested();
    assert_eq!(bus.change(|co| co.latching = true), Err(4));
    assert_eq!((bus.desk().refusal, bus.attested()), (Refusal::NotKept, before));
}

#[test]
fn a_new_unit_id_takes_effect_after_the_answer() {
    let mut bus = Bus::new();
    bus.key(WRITE_ENABLE_KEY).unwrap();
    bus.write(SETTINGS, &NodeSettingsBlock { unit: 42, channels: 4 }.content()).unwrap();
    let crc = bus.desk().content_crc;
    // `ask` checks that this answer still comes from unit 17.
    bus.commit(0, crc).unwrap();
    assert_eq!(bus.ask(17, &[3, 0, 0, 0, 1]), None);
    bus.unit = 42;
    assert_eq!(bus.identity().settings_version, 1);
}

#[test]
fn a_broadcast_is_not_answered_and_changes_nothing() {
    let mut bus = Bus::new();
    let key = [(WRITE_ENABLE_KEY >> 16) as u16, WRITE_ENABLE_KEY as u16];
    assert_eq!(bus.write_as(0, register_map::DESK_KEY, &key), None);
    assert_eq!(bus.desk().open_s, 0);
    bus.key(WRITE_ENABLE_KEY).unwrap();
    assert_eq!(bus.write_as(0, SETTINGS, &[42]), None);
    assert_eq!(bus.desk().content_crc, bus.identity().settings_hash);
    assert_eq!(bus.write_as(0, register_map::DESK_KEY, &[0, 0]), None);
    assert!(bus.desk().open_s > 0);
}

#[test]
fn writes_beside_the_settings_or_across_a_block_s_end_have_no_address() {
    let mut bus = Bus::new();
    bus.key(WRITE_ENABLE_KEY).unwrap();
    let last = channel_settings_address(3) + CHANNEL_SETTINGS_CONTENT as u16;
    for (address, words) in [
        (0, 1),
        (0x0100, 1),
        (0x0300, 1),
        (SETTINGS + 6, 2),
        (SETTINGS + 7, 1),
        (DESK, 1),
        (DESK, 3),
        (DESK + 2, 1),
        (DESK + 5, 1),
        (DESK + 15, 1),
        (channel_settings_address(0), 64),
        (channel_settings_address(0) + 62, 2),
        (last, 1),
        (channel_settings_address(4), 1),
        (0x1010, 1),
        (0xFFFF, 1),
    ] {
        assert_eq!(bus.write(address, &std::vec![0; words]), Err(2), "{address:#06X}, {words}");
    }
    assert_eq!(bus.desk().content_crc, bus.identity().settings_hash);
}

#[test]
fn an_alarm_outlives_a_change_of_its_limit_until_the_value_is_inside_the_new_release() {
    let mut bus = Bus::new();
    let feed = |bus: &mut Bus, number| bus.station.node_mut().sample(ChannelId(0), Signal::Number(number), 20.0, MonotonicMs(0)).sounder;
    assert!(feed(&mut bus, 18.0));
    bus.change(|co| co.low = raised(co.low, 3.0)).unwrap();
    assert!(bus.station.outputs().sounder, "a change of settings ends no alarm by itself");
    assert!(feed(&mut bus, 18.0));
    assert!(!feed(&mut bus, 14.9));
}

#[test]
fn a_calibration_is_applied_with_the_next_sample_and_stands_in_the_log() {
    let mut bus = Bus::new();
    let word = |text: &[u8]| core::array::from_fn(|i| text.get(i).copied().unwrap_or(0));
    bus.change(|co| {
        (co.zero, co.span, co.date) = (2.0, 1.5, 20_261_128);
        (co.gas, co.lot, co.operator) = (word(b"CO 50 ppm"), word(b"4711"), word(b"Li Na"));
    })
    .unwrap();
    bus.station.node_mut().sample(ChannelId(0), Signal::Number(10.0), 20.0, MonotonicMs(0));
    assert_eq!(bus.station.node().outcome(ChannelId(0)), Some(Outcome::measured(12.0)));
    let events = bus.station.node().events();
    let record = events.record(events.head().newest).unwrap();
    assert_eq!((record.kind, record.channel, record.detail), (EventKind::Calibrated, Some(0), 20_261_128));
}

#[test]
fn a_person_s_settings_end_the_loss_of_settings() {
    let mut bus = Bus::new();
    let garbage = SettingsStore::new(RamFlash::found(std::vec![0x5A; 2048]), 0, 4);
    bus.station = Station::new([0; LOG_WORDS], Flash { store: garbage, fails: false }, Framer::new(9600));
    bus.station.begin(IDENTITY, &FOUR_GAS_CHANNELS);
    bus.station.node_mut().sample(ChannelId(0), Signal::Number(1.0), 20.0, MonotonicMs(0));
    assert!(matches!(bus.station.node().outcome(ChannelId(0)), Some(Outcome::Bad(_))));
    bus.change(|_| {}).unwrap();
    bus.station.node_mut().sample(ChannelId(0), Signal::Number(1.0), 20.0, MonotonicMs(0));
    assert_eq!(bus.station.node().outcome(ChannelId(0)), Some(Outcome::measured(1.0)));
    assert!(!bus.station.node().health().troubles.settings_lost);
}
