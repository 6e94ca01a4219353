//! The fuzz targets: each takes any bytes and checks what must hold whatever they are. See `tests/` for the generator.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a broken promise is what a fuzz target reports")]

use firmware::conversion::Signal;
use firmware::modbus::{Framer, MAX_FRAME, crc16};
use firmware::shipped::{FOUR_GAS_CHANNELS, FOUR_GAS_MODULE};
use firmware::{Forgetful, GasModule, Node, NodeSettings, Station};
use measurement::MonotonicMs;
use register_map::ResetCause;
use sensors::winsen::{Model, Parser, parse};

/// The unit that the fuzzed node is.
pub const UNIT: u8 = 17;

/// Every model whose frames are fuzzed.
pub const MODELS: [Model; 4] = [
    Model::FourGases,
    Model::Upload { gas: 4, unit: 3 },
    Model::Answer { decimals: 0, zero_is_warm_up: true },
    Model::Answer { decimals: 1, zero_is_warm_up: false },
];

fn station(framer: Framer) -> Station<4> {
    let settings = NodeSettings { serial: 1, firmware: 1, boot_count: 1, reset_cause: ResetCause::PowerOn, unit: UNIT };
    let mut station = Station::new([0; LOG_WORDS], Forgetful, framer);
    station.begin(settings, &FOUR_GAS_CHANNELS);
    station.set_gas_module(GasModule::new(FOUR_GAS_MODULE, MonotonicMs(0)));
    station
}

/// The field bus: pairs of a byte and a pause before it, in half milliseconds, make the stream.
pub fn modbus(data: &[u8]) {
    for at_once in [false, true] {
        let mut station = station(if at_once { Framer::with_silence(50_000) } else { Framer::new(9600) });
        let mut out = [0; MAX_FRAME];
        let (mut now, mut frame) = (0u64, Vec::new());
        let mut check = |station: &mut Station<4>, now: u64, frame: &mut Vec<u8>, ended: bool| {
            let length = if at_once { station.answer_at_once(now, &mut out) } else { station.answer(now, &mut out) };
            if let Some(length) = length {
                let (body, crc) = out[..length].split_last_chunk::<2>().expect("an answer has a CRC");
                assert_eq!(crc16(body).to_le_bytes(), *crc, "the answer's own CRC");
                // With silence the frame is exactly what came since; at once it is the end of it, for a whole request to
                // another unit is taken without a word.
                let from = if at_once { frame.len().saturating_sub(MAX_FRAME) } else { 0 };
                let to = if at_once { frame.len() } else { from + 1 };
                let whole = (from..to).map(|at| &frame[at..]).find(|asked| asked[0] == UNIT && has_crc(asked));
                let question = whole.expect("what was answered is no whole frame to this unit");
                assert_eq!(body[0], UNIT);
                assert_eq!(body[1] & 0x7F, question[1] & 0x7F, "the answer is to another function");
                match body[1] {
                    3 | 4 => assert_eq!(body.len(), 3 + usize::from(body[2])),
                    _ => assert!(body.len() == 3 && (1..=3).contains(&body[2]), "an exception of the standard"),
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
    }
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
    let mut station = station(Framer::new(9600));
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
