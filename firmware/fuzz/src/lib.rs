//! The fuzz targets: each takes any bytes and checks what must hold whatever they are. See `tests/` for the generator.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a broken promise is what a fuzz target reports")]

use firmware::conversion::Signal;
use firmware::event_log::{EventLog, Happening, LOG_WORDS, OwnLog};
use firmware::modbus::{Framer, MAX_FRAME, crc16};
use firmware::ram_flash::RamFlash;
use firmware::settings::{Keep, Sheet};
use firmware::shipped::{FOUR_GAS_CHANNELS, FOUR_GAS_MODULE};
use firmware::{GasModule, NodeSettings, SettingsStore, Station};
use measurement::{ChannelId, MonotonicMs};
use register_map::{
    CHANNEL_SETTINGS_CONTENT, CHANNEL_SETTINGS_WORDS, ChannelSettingsBlock, DESK, DESK_WORDS, DeskBlock, EVENT_WORDS, EVENTS, EVENTS_WORDS,
    EventKind, EventRecord, EventsHead, HEALTH, HEALTH_WORDS, Health, IDENTITY_WORDS, Identity, ResetCause, SETTINGS, SETTINGS_CONTENT,
    SettingsCrc, channel_settings_address, event_address,
};
use sensors::winsen::{Model, Parser, parse};

/// The unit that the fuzzed node is shipped as.
pub const UNIT: u8 = 17;

/// Every model whose frames are fuzzed.
pub const MODELS: [Model; 4] = [
    Model::FourGases,
    Model::Upload { gas: 4, unit: 3 },
    Model::Answer { decimals: 0, zero_is_warm_up: true },
    Model::Answer { decimals: 1, zero_is_warm_up: false },
];

type Kept = SettingsStore<RamFlash<Vec<u8>>>;
type Fuzzed = Station<4, Kept>;

const IDENTITY: NodeSettings = NodeSettings { serial: 1, firmware: 1, boot_count: 1, reset_cause: ResetCause::PowerOn, unit: UNIT };
/// What the store of four channels takes.
const FLASH: usize = 1280;

fn station(framer: Framer, flash: RamFlash<Vec<u8>>, log: OwnLog) -> Fuzzed {
    let mut station = Station::new(log, SettingsStore::in_ram(flash, 4), framer);
    station.begin(IDENTITY, &FOUR_GAS_CHANNELS);
    station.set_gas_module(GasModule::new(FOUR_GAS_MODULE, MonotonicMs(0)));
    station
}

fn fresh(framer: Framer) -> Fuzzed {
    station(framer, RamFlash::blank(vec![0; FLASH]), [0; LOG_WORDS])
}

fn read<const N: usize>(station: &Fuzzed, address: u16) -> [u16; N] {
    let mut words = [0; N];
    station.node().registers(address, &mut words, MonotonicMs(0)).expect("a block of the map");
    words
}

/// The content of the settings that a node is shipped with: its own block, then the channels'.
pub fn shipped() -> (Vec<u16>, Vec<Vec<u16>>) {
    let station = fresh(Framer::new(9600));
    let channels = (0..4).map(|channel| read::<CHANNEL_SETTINGS_CONTENT>(&station, channel_settings_address(channel)).to_vec());
    (read::<SETTINGS_CONTENT>(&station, SETTINGS).to_vec(), channels.collect())
}

/// Flash that keeps these settings, whatever they say.
pub fn kept(version: u16, head: &[u16], channels: &[Vec<u16>]) -> Vec<u8> {
    let mut sheet = Sheet::<4>::new();
    sheet.head.copy_from_slice(head);
    for content in channels {
        sheet.channels.push(core::array::from_fn(|i| content[i])).expect("four channels");
    }
    let mut store = SettingsStore::in_ram(RamFlash::blank(vec![0; FLASH]), 4);
    store.keep(version, &sheet).expect("room for them");
    store.release().release()
}

/// What holds of every node at any time: its settings make sense and are those of its hash, and every block passes its check.
fn settings_hold(station: &Fuzzed) {
    let identity = Identity::decode(&read::<IDENTITY_WORDS>(station, 0)).expect("identity");
    let mut crc = SettingsCrc::new();
    crc.words(&read::<SETTINGS_CONTENT>(station, SETTINGS));
    for channel in 0..4 {
        let address = channel_settings_address(channel);
        crc.words(&read::<CHANNEL_SETTINGS_CONTENT>(station, address));
        let block = ChannelSettingsBlock::decode(channel, &read::<CHANNEL_SETTINGS_WORDS>(station, address)).expect("settings");
        let shipped = FOUR_GAS_CHANNELS[usize::from(channel)];
        let limits: Vec<_> = [block.low, block.high].into_iter().flatten().collect();
        for direction in [shipped.low, shipped.high].into_iter().flatten().map(|limit| limit.direction) {
            assert!(limits.iter().any(|limit| limit.direction == direction), "a channel that lost its levels in a direction");
        }
        for limit in limits {
            assert!(limit.is_consistent());
            let (from, to) = shipped.self_test.range;
            assert!(limit.setpoint.get() >= from && limit.setpoint.get() <= to, "a setpoint outside the range");
            let clean = limit.setpoint.get() > shipped.normal.0 && limit.setpoint.get() < shipped.normal.1;
            assert!(!clean, "a setpoint in clean air");
        }
        assert!((0.5..=2.0).contains(&block.span) && block.zero.is_finite() && block.zero_per_kelvin.is_finite());
    }
    assert_eq!(identity.settings_hash, crc.end(), "what is in force is not what the hash attests");
    assert!((1..=247).contains(&station.node().unit()));
    DeskBlock::decode(&read::<DESK_WORDS>(station, DESK)).expect("desk");
    Health::decode(&read::<HEALTH_WORDS>(station, HEALTH)).expect("health");
    let head = EventsHead::decode(&read::<EVENTS_WORDS>(station, EVENTS)).expect("events");
    assert!(head.newest - head.oldest.min(head.newest) < u32::from(head.capacity));
    for sequence in head.oldest..=head.newest {
        let words = read::<EVENT_WORDS>(station, event_address(sequence, head.capacity));
        EventRecord::decode(sequence, head.capacity, &words).expect("a record's own words");
    }
}

/// The field bus: pairs of a byte and a pause before it, in half milliseconds, make the stream. Gives how often
/// it has changed the settings.
pub fn modbus(data: &[u8]) -> u16 {
    let mut changes = 0;
    for at_once in [false, true] {
        let mut station = fresh(if at_once { Framer::with_silence(50_000) } else { Framer::new(9600) });
        let mut out = [0; MAX_FRAME];
        let (mut now, mut frame) = (0u64, Vec::new());
        let mut check = |station: &mut Fuzzed, now: u64, frame: &mut Vec<u8>, ended: bool| {
            let (unit, version) = (station.node().unit(), station.node().settings_version().0);
            let length = if at_once { station.answer_at_once(now, &mut out) } else { station.answer(now, &mut out) };
            if let Some(length) = length {
                let (body, crc) = out[..length].split_last_chunk::<2>().expect("an answer has a CRC");
                assert_eq!(crc16(body).to_le_bytes(), *crc, "the answer's own CRC");
                // With silence the frame is exactly what came since; at once it is the end of it, for a whole request to
                // another unit is taken without a word.
                let from = if at_once { frame.len().saturating_sub(MAX_FRAME) } else { 0 };
                let to = if at_once { frame.len() } else { from + 1 };
                let whole = (from..to).map(|at| &frame[at..]).find(|asked| asked[0] == unit && has_crc(asked));
                let question = whole.expect("what was answered is no whole frame to this unit");
                assert_eq!(body[0], unit, "the answer comes from the unit that was asked, even when it has just got another");
                assert_eq!(body[1] & 0x7F, question[1] & 0x7F, "the answer is to another function");
                match body[1] {
                    3 | 4 => assert_eq!(body.len(), 3 + usize::from(body[2])),
                    16 => assert!(body.len() == 6 && body[2..] == question[2..6], "the echo of a write"),
                    _ => assert!(body.len() == 3 && (1..=4).contains(&body[2]), "an exception of the standard"),
                }
                let changed = station.node().settings_version().0 != version;
                assert!(!changed || question[1..4] == [16, 0x04, 0x12], "settings changed without a commit");
                if body[1] & 0x7F == 16 {
                    settings_hold(station);
                }
                frame.clear();
            }
            if ended {
                frame.clear();
            }
        };
        for pair in data.chunks_exact(2) {
            let pause = u64::from(pair[1]) * 500;
            now += pause;
            check(&mut station, now, &mut frame, pause >= if at_once { 50_000 } else { 4_010 });
            station.line_byte(pair[0], now);
            frame.push(pair[0]);
            check(&mut station, now, &mut frame, false);
        }
        check(&mut station, now + 1_000_000, &mut frame, true);
        settings_hold(&station);
        changes += station.node().settings_version().0;
    }
    changes
}

/// A start on any flash and any memory: whatever they hold, the node begins with settings that make sense, or with none.
pub fn restart(data: &[u8]) {
    let mut flash = vec![0xFF; FLASH];
    flash.iter_mut().zip(data).for_each(|(byte, any)| *byte = *any);
    let mut log = [0; LOG_WORDS];
    let words = data.get(FLASH..).unwrap_or_default().chunks_exact(4);
    log.iter_mut().zip(words).for_each(|(word, any)| *word = u32::from_le_bytes([any[0], any[1], any[2], any[3]]));
    let mut station = station(Framer::new(9600), RamFlash::found(flash), log);
    settings_hold(&station);
    let lost = station.node().health().troubles.settings_lost;
    for channel in 0..4 {
        station.node_mut().sample(ChannelId(channel), Signal::Number(5.0), 20.0, MonotonicMs(u64::from(channel)));
        let outcome = station.node().outcome(ChannelId(channel)).expect("four channels");
        assert!(!lost || outcome.value().is_none(), "a value was called good without settings");
    }
    let mut log = EventLog::asleep(log);
    log.begin(2);
    for (kind, at) in EventKind::ALL.iter().cycle().zip(0..data.len().min(400) as u64) {
        log.note(Happening::channel(*kind, data[at as usize], 0), MonotonicMs(at * 60_000));
    }
    assert!(log.head().newest < u32::MAX);
}

fn has_crc(frame: &[u8]) -> bool {
    frame.split_last_chunk::<2>().is_some_and(|(body, crc)| body.len() >= 2 && crc16(body).to_le_bytes() == *crc)
}

/// The gas line: any bytes, a millisecond apart.
pub fn gas(data: &[u8]) {
    for model in MODELS {
        let mut parser = Parser::new(model);
        for (at, byte) in data.iter().enumerate() {
            if let Some(frame) = parser.push(*byte) {
                let whole = &data[at + 1 - model.frame_length()..=at];
                assert_eq!(parse(model, whole), Ok(frame), "a frame that does not stand in the stream");
            }
        }
    }
    let mut module = GasModule::new(FOUR_GAS_MODULE, MonotonicMs(0));
    let mut station = fresh(Framer::new(9600));
    for (at, byte) in (0..).zip(data) {
        if let Some(signals) = module.byte(*byte, MonotonicMs(at)) {
            assert!(signals.iter().all(|signal| matches!(signal, Signal::WarmingUp | Signal::Number(0.0..=65535.0))));
        }
        let _ = module.silence(MonotonicMs(at * 7));
        let _ = module.question(MonotonicMs(at));
        station.gas_byte(*byte, at * 1000);
        let _ = station.sample(at * 1000);
    }
    let mut words = [0; 64];
    station.node().registers(256, &mut words, MonotonicMs(data.len() as u64)).expect("four channels");
    for channel in 0..4u16 {
        let at = usize::from(channel) * 16;
        register_map::ChannelBlock::decode(channel, &words[at..at + 16]).expect("the node's own block");
    }
}
