//! The image on an emulated Cortex-M4, between a gas module and a Modbus master that are not the node's code.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]
#![allow(clippy::disallowed_methods, reason = "a test program keeps deadlines")]

use std::io::Write;
use std::time::{Duration, Instant};

use firmware::conversion::Signal;
use firmware::shipped::FOUR_GAS_CHANNELS;
use firmware::{Node, NodeSettings};
use measurement::{ChannelId, Doubt, Fault, MonotonicMs, Outcome};
use qemu::bus::{Bus, Refusal};
use qemu::desk::{Change, desk, events, long_words, words_of};
use qemu::module::Module;
use qemu::{Board, Lamps, image};
use register_map::{
    CHANNEL_WORDS, ChannelBlock, ChannelSettingsBlock, DESK, DESK_COMMIT, DESK_KEY, EVENTS, EventKind, HEALTH, HEALTH_WORDS, Health,
    IDENTITY_WORDS, Identity, ResetCause, SETTINGS, channel_address, channel_settings_address,
};

const UNIT: u8 = 17;
const AIR: [u16; 4] = [2, 0, 209, 0];
const SOON: Duration = Duration::from_secs(20);

fn block(bus: &mut Bus, channel: u16) -> ChannelBlock {
    let words = bus.read_surely(UNIT, channel_address(channel), CHANNEL_WORDS as u16);
    ChannelBlock::decode(channel, &words).expect("a believable block")
}

fn identity(bus: &mut Bus) -> Identity {
    Identity::decode(&bus.read_surely(UNIT, 0, IDENTITY_WORDS as u16)).expect("a believable identity")
}

fn health(bus: &mut Bus) -> Health {
    Health::decode(&bus.read_surely(UNIT, HEALTH, HEALTH_WORDS as u16)).expect("a believable health block")
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn value(number: f32) -> Outcome {
    Outcome::measured(number)
}

#[test]
fn gas_rises_and_the_node_sounds_lights_and_tells() {
    let mut board = Board::boot();
    let module = Module::plug(board.serial("gas"), AIR, 1);
    let mut bus = Bus::new(board.serial("bus"), 1);
    let quiet = Lamps { sounder: false, beacon: false, fault: false };
    wait_until("clean air", || block(&mut bus, 3).outcome == value(0.0) && block(&mut bus, 2).outcome == value(20.9));
    board.wait_for_lamps(quiet, SOON);

    module.set(|air| air.gases[3] = 12);
    board.wait_for_lamps(Lamps { sounder: true, ..quiet }, SOON);
    module.set(|air| air.gases[3] = 30);
    board.wait_for_lamps(Lamps { sounder: true, beacon: true, ..quiet }, SOON);
    let seen = block(&mut bus, 3);
    assert_eq!((seen.outcome, seen.local_alarm), (value(30.0), 0b011));

    module.set(|air| air.gases[3] = 0);
    board.wait_for_lamps(quiet, SOON);
    assert_eq!(block(&mut bus, 3).local_alarm, 0);
}

#[test]
fn an_unplugged_module_is_a_fault_and_not_a_zero_until_it_is_back() {
    let mut board = Board::boot();
    let module = Module::plug(board.serial("gas"), AIR, 2);
    let mut bus = Bus::new(board.serial("bus"), 2);
    wait_until("a first value", || block(&mut bus, 0).outcome == value(2.0));
    module.set(|air| air.plugged = false);
    for channel in 0..4 {
        wait_until("the fault", || {
            let outcome = block(&mut bus, channel).outcome;
            assert!(outcome == value([2.0, 0.0, 20.9, 0.0][usize::from(channel)]) || outcome == Outcome::Bad(Fault::NotConnected));
            outcome == Outcome::Bad(Fault::NotConnected)
        });
    }
    assert!(board.lamps().fault);
    let words = bus.read_surely(UNIT, channel_address(2), CHANNEL_WORDS as u16);
    assert!(f32::from_bits(u32::from(words[1]) << 16 | u32::from(words[2])).is_nan(), "whoever ignores quality reads NaN");
    module.set(|air| air.plugged = true);
    wait_until("the value again", || block(&mut bus, 2).outcome == value(20.9));
}

#[test]
fn a_node_that_never_heard_its_module_says_so() {
    let mut board = Board::boot();
    let mut bus = Bus::new(board.serial("bus"), 3);
    let first = block(&mut bus, 0).outcome;
    assert!(matches!(first, Outcome::Bad(Fault::NotYetRead | Fault::NotConnected)), "{first:?}");
    board.wait_for_lamps(Lamps { sounder: false, beacon: false, fault: true }, SOON);
}

#[test]
fn bytes_garbled_on_both_lines_never_become_a_wrong_value() {
    let polls: u32 = std::env::var("DAVY_POLLS").ok().and_then(|n| n.parse().ok()).unwrap_or(2000);
    let board = Board::boot();
    let module = Module::plug(board.serial("gas"), AIR, 4);
    let mut bus = Bus::new(board.serial("bus"), 4);
    wait_until("a first value", || block(&mut bus, 0).outcome == value(2.0));
    module.set(|air| air.garbled = 10);
    bus.garbled = 10;
    bus.deadline = Duration::from_millis(100);
    let truths = [AIR, [15, 3, 205, 8], [40, 9, 190, 14], [3, 1, 208, 1]];
    let (mut good, mut faults, mut refused, mut unbelievable) = (0, 0, 0, 0);
    let mut seen = [0; 4];
    for poll in 0..polls {
        let phase = (poll * truths.len() as u32 / polls) as usize;
        module.set(|air| air.gases = truths[phase]);
        let channel = (poll % 4) as u16;
        match bus.read(UNIT, channel_address(channel), CHANNEL_WORDS as u16).map(|words| ChannelBlock::decode(channel, &words)) {
            Ok(Ok(block)) => match block.outcome {
                Outcome::Bad(_) => faults += 1,
                outcome => {
                    let of = |truth: [u16; 4]| {
                        let raw = f32::from(truth[usize::from(channel)]);
                        if channel == 2 { raw / 10.0 } else { raw }
                    };
                    let got = outcome.value().expect("a value").get();
                    // A change is seen with the module's next frames, so the truth before it is no lie yet.
                    let right = truths[phase.saturating_sub(1)..=phase].iter().any(|truth| of(*truth) == got);
                    assert!(right, "poll {poll}, channel {channel}: {got} where the air holds {:?}", truths[phase]);
                    good += 1;
                    seen[phase] += u32::from(of(truths[phase]) == got);
                }
            },
            Ok(Err(_)) => unbelievable += 1,
            Err(_) => refused += 1,
        }
    }
    println!("{polls} polls: {good} values, all right; {faults} faults; {refused} frames and {unbelievable} blocks refused");
    assert!(good > polls / 3 && refused > polls / 20, "the line was garbled and yet usable");
    assert!(seen.iter().all(|count| *count > 0), "every state of the air was seen: {seen:?}");
}

#[test]
fn what_does_not_exist_is_refused_with_the_standard_s_exceptions_and_strangers_get_silence() {
    let board = Board::boot();
    let mut bus = Bus::new(board.serial("bus"), 5);
    identity(&mut bus);
    assert_eq!(bus.read(UNIT, 100, 1), Err(Refusal::Exception(2)));
    assert_eq!(bus.read(UNIT, channel_address(3), 17), Err(Refusal::Exception(2)), "one register past the last channel");
    assert_eq!(bus.read(UNIT, 0xFFFF, 2), Err(Refusal::Exception(2)));
    assert_eq!(bus.read(UNIT, 0, 0), Err(Refusal::Exception(3)));
    assert_eq!(bus.read(UNIT, 0, 126), Err(Refusal::Exception(3)));
    assert_eq!(bus.ask(&[UNIT, 6, 0, 0, 0, 1]), Err(Refusal::Exception(1)), "nothing is written but settings, with function 16");
    assert_eq!(bus.write(UNIT, 0, &[0]), Err(Refusal::Exception(2)), "no setting stands there");
    assert_eq!(bus.ask(&[UNIT, 16, 4, 0, 0, 1, 4, 0, 0]), Err(Refusal::Exception(3)), "another length than it says");
    bus.deadline = Duration::from_millis(300);
    assert_eq!(bus.read(UNIT + 1, 0, 1), Err(Refusal::Silence), "another unit");
    assert_eq!(bus.read(0, 0, 1), Err(Refusal::Silence), "a broadcast");
    assert_eq!(bus.ask_raw(&[UNIT, 3, 0, 0, 0, 1, 0, 0]), Err(Refusal::Silence), "a bad CRC");
    assert_eq!(bus.ask_raw(&[UNIT, 3, 0]), Err(Refusal::Silence), "half a frame");
    identity(&mut bus);
}

#[test]
fn the_image_and_the_simulated_board_give_the_same_registers_for_the_same_air() {
    let board = Board::boot();
    let mut bus = Bus::new(board.serial("bus"), 6);
    let seen = identity(&mut bus);
    assert_eq!((seen.reset_cause, seen.boot_count, seen.channels), (ResetCause::PowerOn, 1, 4));
    let settings = NodeSettings { serial: 0x0386_0000_0001, firmware: 0x0001, boot_count: 1, reset_cause: ResetCause::PowerOn, unit: UNIT };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let simulated = simulated::SimulatedNode::new(UNIT, settings, FOUR_GAS_CHANNELS.to_vec());
    let line = runtime.block_on(simulated::Line::modbus_tcp(vec![simulated.clone()], stop.clone())).unwrap();
    let mut tcp = std::net::TcpStream::connect(line.address().unwrap()).unwrap();
    let mut simulated_words = |address: u16, count: u16| {
        use std::io::Read;
        let mut request = vec![0, 1, 0, 0, 0, 6, UNIT, 3];
        request.extend(address.to_be_bytes());
        request.extend(count.to_be_bytes());
        tcp.write_all(&request).unwrap();
        let mut answer = vec![0; 9 + usize::from(count) * 2];
        tcp.read_exact(&mut answer).unwrap();
        answer[9..].chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect::<Vec<u16>>()
    };
    let mut ours = Identity::decode(&simulated_words(0, IDENTITY_WORDS as u16)).unwrap();
    ours.uptime_s = seen.uptime_s;
    assert_eq!(ours.encode(), seen.encode());
    for (address, count) in (0..4).map(|channel| (channel_settings_address(channel), 64)).chain([(SETTINGS, 8), (DESK, 16)]) {
        assert_eq!(bus.read_surely(UNIT, address, count), simulated_words(address, count), "settings at {address:#06x}");
    }

    // Level by level up and down again, over range, starved of oxygen, unplugged, and back.
    let script: [Option<[u16; 4]>; 9] = [
        Some(AIR),
        Some([20, 8, 194, 11]),
        Some([50, 15, 170, 40]),
        Some([16, 6, 196, 9]),
        Some([1, 0, 209, 101]),
        Some([1, 0, 209, 2]),
        Some([1, 0, 80, 2]),
        None,
        Some(AIR),
    ];
    let module = Module::plug(board.serial("gas"), AIR, 6);
    for (step, air) in script.into_iter().enumerate() {
        let settled = match air {
            Some(gases) => {
                module.set(|air| (air.gases, air.plugged) = (gases, true));
                Some(f32::from(gases[3]))
            }
            None => {
                module.set(|air| air.plugged = false);
                None
            }
        };
        for (channel, raw) in (0..).zip(air.unwrap_or_default()) {
            let signal = match air {
                Some(_) if channel == 2 => Signal::Number(f32::from(raw) / 10.0),
                Some(_) => Signal::Number(f32::from(raw)),
                None => Signal::NoAnswer,
            };
            simulated.feed(ChannelId(channel), signal, 20.0);
        }
        for channel in 0..4u16 {
            let theirs = ChannelBlock::decode(channel, &simulated_words(channel_address(channel), CHANNEL_WORDS as u16)).unwrap();
            let mut words = Vec::new();
            wait_until(&format!("step {step}, channel {channel}: {theirs:?}"), || {
                words = bus.read_surely(UNIT, channel_address(channel), CHANNEL_WORDS as u16);
                let block = ChannelBlock::decode(channel, &words).unwrap();
                block.outcome == theirs.outcome && block.local_alarm == theirs.local_alarm
            });
            // Counter and age are of each board's own time; with them made equal every word is, the check word included.
            let block = ChannelBlock::decode(channel, &words).unwrap();
            let theirs = ChannelBlock { sequence: block.sequence, sample_age_ms: block.sample_age_ms, ..theirs };
            assert_eq!(words, theirs.encode(channel), "step {step} ({settled:?} %LEL), channel {channel}");
        }
    }
    stop.cancel();
}

#[test]
fn a_hung_duty_is_reset_by_the_watchdog_and_the_cause_stands_in_the_registers() {
    for (hook, cause) in [(b's', ResetCause::Watchdog), (b'h', ResetCause::Watchdog), (b'p', ResetCause::Panic), (b'o', ResetCause::Panic)]
    {
        let board = Board::boot_with_hook();
        let mut bus = Bus::new(board.serial("bus"), 7);
        assert_eq!(identity(&mut bus).reset_cause, ResetCause::PowerOn);
        board.serial("hook").write_all(&[hook]).unwrap();
        let begun = Instant::now();
        wait_until("the reset", || identity(&mut bus).boot_count == 2);
        println!("{}: back after {} ms", hook as char, begun.elapsed().as_millis());
        assert_eq!(identity(&mut bus).reset_cause, cause, "{}", hook as char);
    }
}

#[test]
fn a_bead_that_was_over_range_is_not_believed_after_the_watchdog_has_bitten() {
    let mut board = Board::boot_with_hook();
    let module = Module::plug(board.serial("gas"), AIR, 17);
    let mut bus = Bus::new(board.serial("bus"), 17);
    wait_until("clean air", || block(&mut bus, 3).outcome == value(0.0));
    module.set(|air| air.gases[3] = 100);
    wait_until("the end of the range", || matches!(block(&mut bus, 3).outcome, Outcome::Uncertain(_, Doubt::OverRange)));
    board.serial("hook").write_all(b"h").unwrap();
    module.set(|air| air.gases[3] = 3);
    wait_until("the reset", || identity(&mut bus).boot_count == 2);
    wait_until("the doubt", || matches!(block(&mut bus, 3).outcome, Outcome::Uncertain(_, Doubt::OverRangeLatched)));
    board.wait_for_lamps(Lamps { sounder: true, beacon: true, fault: true }, SOON);
}

#[test]
fn settings_are_changed_behind_the_key_all_at_once_and_outlive_a_reset() {
    let mut board = Board::boot();
    let module = Module::plug(board.serial("gas"), AIR, 13);
    let mut bus = Bus::new(board.serial("bus"), 13);
    wait_until("clean air", || block(&mut bus, 3).outcome == value(0.0));
    let shipped = identity(&mut bus);
    assert_eq!(shipped.settings_version, 0, "nobody has set anything");

    // Without the key, and with a wrong one, nothing is taken.
    let refused = Err(Refusal::Exception(4));
    assert_eq!(bus.write(UNIT, channel_settings_address(3) + 7, &words_of(8.0)), refused);
    assert_eq!(desk(&mut bus, UNIT).refusal, register_map::Refusal::Shut);
    assert_eq!(bus.write(UNIT, DESK_KEY, &[0, 0]), refused);
    assert_eq!((desk(&mut bus, UNIT).refusal, desk(&mut bus, UNIT).open_s), (register_map::Refusal::Key, 0));
    assert_eq!(bus.write(UNIT, channel_settings_address(3) + 7, &words_of(8.0)), refused);

    // With it a change is staged, and a commit that does not fit what is there changes nothing.
    let mut change = Change::begin(&mut bus, UNIT);
    change.content[3][7..9].copy_from_slice(&words_of(8.0));
    change.content[3][9..11].copy_from_slice(&words_of(7.0));
    change.stage(&mut bus, UNIT).unwrap();
    let [high, low] = long_words(change.crc());
    assert_eq!(bus.write(UNIT, DESK_COMMIT, &[change.version + 1, high, low]), refused);
    assert_eq!(desk(&mut bus, UNIT).refusal, register_map::Refusal::Version);
    assert_eq!(bus.write(UNIT, DESK_COMMIT, &[change.version, high, low ^ 1]), refused);
    assert_eq!(desk(&mut bus, UNIT).refusal, register_map::Refusal::Content);
    let unchanged = identity(&mut bus);
    assert_eq!((unchanged.settings_version, unchanged.settings_hash), (0, shipped.settings_hash));

    change.commit(&mut bus, UNIT).unwrap();
    let changed = identity(&mut bus);
    assert_eq!((changed.settings_version, changed.settings_hash), (1, change.crc()));
    assert_ne!(changed.settings_hash, shipped.settings_hash);
    module.set(|air| air.gases[3] = 8);
    board.wait_for_lamps(Lamps { sounder: true, beacon: false, fault: false }, SOON);

    // A limit within clean air's noise is refused by name, and the one before it stays in force.
    let mut silencing = Change::begin(&mut bus, UNIT);
    silencing.content[0][7..9].copy_from_slice(&words_of(5.0));
    silencing.content[0][9..11].copy_from_slice(&words_of(4.0));
    assert_eq!(silencing.commit(&mut bus, UNIT), refused);
    let why = desk(&mut bus, UNIT);
    assert_eq!((why.refusal, why.refused_channel, why.version), (register_map::Refusal::Noise, Some(0), 1));

    board.reset();
    wait_until("the reset", || identity(&mut bus).boot_count == 2);
    let kept = identity(&mut bus);
    assert_eq!((kept.settings_version, kept.settings_hash), (1, change.crc()), "they outlive a reset");
    let words = bus.read_surely(UNIT, channel_settings_address(3), 64);
    let limit = ChannelSettingsBlock::decode(3, &words).unwrap().low.unwrap();
    assert_eq!((limit.setpoint.get(), limit.release.get()), (8.0, 7.0));
    assert!(health(&mut bus).troubles.settings_not_kept, "this board has no flash, and says so");
    let told = events(&mut bus, UNIT);
    let of = |kind| told.iter().filter(|event| event.kind == kind).count();
    assert_eq!((of(EventKind::KeyRefused), of(EventKind::SettingsChanged)), (1, 1), "{told:?}");
}

#[test]
fn the_thermometer_compensates_the_zero_as_the_air_warms() {
    let mut board = Board::boot();
    Module::plug(board.serial("gas"), [15, 0, 209, 0], 14);
    let mut bus = Bus::new(board.serial("bus"), 14);
    wait_until("a first value", || block(&mut bus, 0).outcome == value(15.0));
    board.set_celsius(30.0);
    let sequence = block(&mut bus, 0).sequence;
    wait_until("some samples in warm air", || block(&mut bus, 0).sequence.wrapping_sub(sequence) >= 3);
    assert_eq!(block(&mut bus, 0).outcome, value(15.0), "a zero that does not drift is left alone");

    // The calibration says that CO's zero rises by 0.5 ppm a kelvin from 20 °C.
    let mut change = Change::begin(&mut bus, UNIT);
    change.content[0][28..30].copy_from_slice(&words_of(0.5));
    change.content[0][30..32].copy_from_slice(&long_words(20_261_124));
    for at in [32, 40, 48] {
        change.content[0][at] = u16::from_be_bytes(*b"x1");
    }
    change.commit(&mut bus, UNIT).unwrap();
    for (celsius, expected) in [(30.0, 10.0), (40.0, 5.0), (21.0, 14.5), (20.0, 15.0), (-5.0, 27.5)] {
        board.set_celsius(celsius);
        wait_until(&format!("{expected} ppm at {celsius} °C"), || block(&mut bus, 0).outcome == value(expected));
    }
}

#[test]
fn the_event_log_outlives_the_watchdog_and_says_what_was_before() {
    let mut board = Board::boot_with_hook();
    let module = Module::plug(board.serial("gas"), AIR, 15);
    let mut bus = Bus::new(board.serial("bus"), 15);
    wait_until("clean air", || block(&mut bus, 3).outcome == value(0.0));
    module.set(|air| air.gases[3] = 12);
    board.wait_for_lamps(Lamps { sounder: true, beacon: false, fault: false }, SOON);
    board.serial("hook").write_all(b"s").unwrap();
    wait_until("the reset", || identity(&mut bus).boot_count == 2);
    let told: Vec<_> = events(&mut bus, UNIT).iter().map(|event| (event.boot, event.kind, event.channel, event.detail)).collect();
    let place = |wanted| told.iter().position(|event| *event == wanted).unwrap_or_else(|| panic!("no {wanted:?} in {told:?}"));
    let started = place((1, EventKind::Started, None, ResetCause::PowerOn as u32));
    let raised = place((1, EventKind::LowRaised, Some(3), 12f32.to_bits()));
    let bitten = place((2, EventKind::Started, None, ResetCause::Watchdog as u32));
    assert!(started < raised && raised < bitten, "{told:?}");
    assert!(!health(&mut bus).troubles.events_lost);
}

#[test]
fn a_beacon_that_stays_dark_is_told_and_seen_to_work_again() {
    let mut board = Board::boot_with_hook();
    let module = Module::plug(board.serial("gas"), AIR, 16);
    let mut bus = Bus::new(board.serial("bus"), 16);
    let mut hook = board.serial("hook");
    wait_until("clean air", || block(&mut bus, 3).outcome == value(0.0));
    hook.write_all(b"b").unwrap();
    module.set(|air| air.gases[3] = 30);
    board.wait_for_lamps(Lamps { sounder: true, beacon: true, fault: false }, SOON);
    wait_until("the failure", || health(&mut bus).troubles.beacon_failed);
    hook.write_all(b"l").unwrap();
    wait_until("the beacon at work", || !health(&mut bus).troubles.beacon_failed);
    let told: Vec<_> = events(&mut bus, UNIT).iter().map(|event| event.kind).collect();
    assert!(told.contains(&EventKind::BeaconFailed) && told.contains(&EventKind::BeaconWorks), "{told:?}");
}

#[test]
fn the_reset_button_is_told_from_power_on() {
    let mut board = Board::boot();
    let mut bus = Bus::new(board.serial("bus"), 8);
    assert_eq!(identity(&mut bus).reset_cause, ResetCause::PowerOn);
    board.reset();
    wait_until("the reset", || identity(&mut bus).boot_count == 2);
    assert_eq!(identity(&mut bus).reset_cause, ResetCause::Pin);
}

#[test]
fn the_release_image_is_fed_while_all_is_well() {
    let board = Board::boot();
    let _module = Module::plug(board.serial("gas"), AIR, 9);
    let mut bus = Bus::new(board.serial("bus"), 9);
    wait_until("five seconds of uptime", || identity(&mut bus).uptime_s >= 5);
    assert_eq!(identity(&mut bus).boot_count, 1);
}

#[test]
fn the_stack_stays_within_its_budget() {
    let budget = std::env::var("DAVY_STACK_BUDGET").unwrap_or_else(|_| panic!("DAVY_STACK_BUDGET is not set: run firmware/build --test"));
    let budget: u16 = budget.parse().unwrap();
    let mut board = Board::boot();
    let module = Module::plug(board.serial("gas"), AIR, 10);
    let mut bus = Bus::new(board.serial("bus"), 10);
    wait_until("a first value", || block(&mut bus, 0).outcome == value(2.0));
    module.set(|air| (air.gases, air.garbled) = ([50, 15, 170, 40], 100));
    board.set_celsius(35.0);
    for _ in 0..50 {
        let _ = bus.read(UNIT, channel_address(0), 64);
        let _ = bus.read(UNIT, 0, 18);
        let _ = bus.read(UNIT, 0, 126);
        let _ = bus.read(UNIT, EVENTS, 125);
    }
    // The deepest known way: a change of settings that is judged, kept and noted.
    let mut change = Change::begin(&mut bus, UNIT);
    change.content[3][9..11].copy_from_slice(&words_of(8.0));
    change.commit(&mut bus, UNIT).unwrap();
    let before = bus.read_surely(UNIT, HEALTH, HEALTH_WORDS as u16);
    wait_until("what the board knows by now", || bus.read_surely(UNIT, HEALTH, HEALTH_WORDS as u16) != before);
    let told = health(&mut bus);
    let (Some(size), Some(free)) = (told.board.stack_size, told.board.stack_free) else { panic!("the board knows its stack: {told:?}") };
    println!("stack: {} bytes at the deepest, budget {budget}", size - free);
    assert_eq!(size, budget, "the linker gives what the budget says");
    assert!(free >= 512, "of {size} bytes of stack only {free} were never used");
    println!("longest round: {} ms of {} ms to the watchdog", told.board.longest_round_ms.unwrap(), told.board.watchdog_ms.unwrap());
}

/// What masters that are not ours must be told: the values of a node in this air.
fn check_foreign(mut words: impl FnMut(&str, u16, usize) -> Vec<u16>) {
    for function in ["holding", "input"] {
        let read = Identity::decode(&words(function, 0, IDENTITY_WORDS)).expect("a believable identity");
        assert_eq!((read.serial, read.reset_cause, read.channels), (0x0386_0000_0001, ResetCause::PowerOn, 4));
        for (channel, expected) in (0..).zip([2.0, 0.0, 20.9, 0.0]) {
            let block = words(function, channel_address(channel), CHANNEL_WORDS);
            assert_eq!(ChannelBlock::decode(channel, &block).expect("a believable block").outcome, value(expected), "channel {channel}");
        }
    }
}

/// A board on a pseudo-terminal whose gas module has been believed.
fn board_for_foreigners(seed: u64) -> (Board, String) {
    let (mut board, pty) = Board::boot_on_pty();
    Module::plug(board.serial("gas"), AIR, seed);
    board.wait_for_lamps(Lamps { sounder: false, beacon: false, fault: true }, SOON);
    board.wait_for_lamps(Lamps { sounder: false, beacon: false, fault: false }, SOON);
    (board, pty)
}

#[test]
fn mbpoll_reads_the_same_registers_and_gets_the_same_refusals() {
    let (_board, pty) = board_for_foreigners(11);
    let ask = |kind: &str, address: u16, count: usize, values: &[&str]| proof::mbpoll(&pty, UNIT, kind, address, count, values);
    if ask("4", 0, 1, &[]).is_none() {
        return;
    }
    check_foreign(|function, address, count| {
        let said = ask(if function == "input" { "3:hex" } else { "4:hex" }, address, count, &[]).unwrap();
        let words = |line: &str| line.strip_prefix('[')?.split("0x").nth(1).and_then(|hex| u16::from_str_radix(hex.trim(), 16).ok());
        let words: Vec<u16> = said.lines().filter_map(words).collect();
        assert_eq!(words.len(), count, "{said}");
        words
    });
    for (kind, address, value, refusal) in [
        ("4", 100, &[][..], "Illegal data address"),
        ("3", channel_address(4), &[], "Illegal data address"),
        ("0", 0, &[], "Illegal function"),
        ("1", 0, &[], "Illegal function"),
        ("4", 0, &["1"], "Illegal function"),
    ] {
        let said = ask(kind, address, 1, value).unwrap();
        assert!(said.contains(refusal), "{refusal} expected of {kind} at {address}: {said}");
    }
}

#[test]
fn pymodbus_reads_the_same_registers_and_gets_the_same_refusals() {
    let Some(python) = proof::python_with_pymodbus() else { return };
    let (_board, pty) = board_for_foreigners(12);
    let ask = |questions: &[String]| proof::pymodbus(&python, &pty, UNIT, questions);
    check_foreign(|function, address, count| {
        let said = ask(&[format!("{function}:{address}:{count}")]).remove(0);
        let words = said.strip_prefix("words ").unwrap_or_else(|| panic!("{said}"));
        words.split(' ').map(|word| word.parse().unwrap()).collect()
    });
    let refused = [
        ("holding:100:1".to_owned(), 2),
        (format!("input:{}:{}", channel_address(3), CHANNEL_WORDS + 1), 2),
        ("coils:0:8".to_owned(), 1),
        ("discrete:0:8".to_owned(), 1),
        ("write:0:1".to_owned(), 1),
        ("write-many:0:1".to_owned(), 2),
        (format!("write-many:{DESK_KEY}:0,0"), 4),
    ];
    let said = ask(&refused.clone().map(|(question, _)| question));
    for ((question, code), said) in refused.iter().zip(said) {
        assert_eq!(said, format!("exception {code}"), "{question}");
    }
}

#[test]
fn the_release_image_has_no_hook_in_it() {
    let has = |variable| std::fs::read(image(variable)).unwrap().windows(14).any(|bytes| bytes == b"DAVY_TEST_HOOK");
    assert!(!has("DAVY_NODE_IMAGE") && has("DAVY_NODE_IMAGE_HOOK"));
}

/// What the node would say without a board: the tests above compare with the simulated board, this one pins a few bytes.
#[test]
fn the_first_words_are_those_of_every_davy_node() {
    let settings = NodeSettings { serial: 1, firmware: 1, boot_count: 1, reset_cause: ResetCause::PowerOn, unit: UNIT };
    assert_eq!(Node::new(settings, &[]).register(0, MonotonicMs(0)), Some(0xDA57));
}
