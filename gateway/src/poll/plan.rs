//! What a bus can carry: how long each device's questions and answers take on the wire, what share of the time
//! that is, and what dead devices would add. Pure arithmetic; a site whose periods cannot be met is refused by it.

use std::fmt;

use crate::device::MOST_REGISTERS;
use crate::forward::SPOOL_BYTES_PER_READING;
use crate::poll::link::{FULL_PROBE, PROBE_MARGIN, Road};
use crate::poll::schedule::{PROBE_MOST_MS, probe_period_ms};
use crate::site::{Bus, Site};

/// A device is assumed to think for so long before it answers; makers state 1 to 50 ms.
const TURN_AROUND_US: u64 = 5_000;
/// A question over TCP and its answer, beside what the device needs to think.
const TCP_EXCHANGE_US: u64 = 1_000;
/// Unit, function, address, count, check: characters of a question.
const QUESTION_CHARACTERS: u64 = 8;
/// Unit, function, byte count, check: characters of an answer beside its registers.
const ANSWER_CHARACTERS: u64 = 5;

/// Of a wire so much may be used when devices near a limit are asked more often; the rest is for probes that take
/// longer, second readings and answers that must be asked for again.
const MOST_SHARE: f64 = 0.9;
/// A device near a limit is asked at most so many times a period, and never more often than this.
const MOST_HURRY: u64 = 4;
const LEAST_PERIOD_MS: u64 = 250;

/// One device's part.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Part {
    /// Its name.
    pub device: String,
    /// Requests a poll.
    pub requests: usize,
    /// Registers a poll.
    pub registers: u64,
    /// Time on the wire a poll, µs.
    pub poll_us: u64,
    /// How often.
    pub period_ms: u64,
    /// Share of the wire's time, 1.0 for all of it.
    pub share: f64,
    /// How often it is asked when it alone is near a limit; `None` when the wire has no room or the period is short.
    pub fastest_near_a_limit_ms: Option<u64>,
}

/// A bus's plan.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Plan {
    /// Its name.
    pub bus: String,
    /// How it is reached.
    pub road: String,
    /// True when the wire's speed is known, so that the plan may refuse a site.
    pub is_timed: bool,
    /// The devices.
    pub parts: Vec<Part>,
    /// A probe of a dead device on average, µs.
    pub probe_us: u64,
    /// A dead device is probed so often, ms.
    pub probe_period_ms: u64,
    /// Share of the wire's time used with so many dead devices beside those that live: none, one, two …
    pub share_with_dead: Vec<f64>,
}

impl Plan {
    /// The plan of a bus.
    pub fn of(bus: &Bus) -> Plan {
        let timing = Timing::of(bus);
        let parts: Vec<Part> = bus
            .devices
            .iter()
            .map(|device| {
                let keys: Vec<&str> = device.channels.iter().map(|channel| &*channel.key).collect();
                let blocks = device.profile.blocks(&keys, &bus.workarounds);
                let asking: u64 = blocks.iter().map(|block| timing.exchange_us(u64::from(block.count))).sum();
                let poll_us = asking + timing.reopening_us;
                Part {
                    device: device.name.clone(),
                    requests: blocks.len(),
                    registers: blocks.iter().map(|block| u64::from(block.count)).sum(),
                    poll_us,
                    period_ms: device.period_ms,
                    share: poll_us as f64 / (device.period_ms.max(1) * 1_000) as f64,
                    fastest_near_a_limit_ms: None,
                }
            })
            .collect();
        let slowest = parts.iter().map(|part| part.poll_us / part.requests.max(1) as u64).max().unwrap_or(0);
        let period = bus.devices.iter().map(|device| device.period_ms).min().unwrap_or(PROBE_MOST_MS);
        let mut plan = Plan {
            bus: bus.name.clone(),
            road: bus.road.to_string(),
            is_timed: timing.character_us.is_some(),
            parts,
            probe_us: timing.probe_us(slowest),
            probe_period_ms: probe_period_ms(period),
            share_with_dead: Vec::new(),
        };
        plan.share_with_dead = (0..=5).map(|dead| plan.share(dead)).collect();
        for place in 0..plan.parts.len() {
            let near: Vec<bool> = (0..plan.parts.len()).map(|other| other == place).collect();
            plan.parts[place].fastest_near_a_limit_ms = plan.paces(&near, &[]).get(place).copied().flatten();
        }
        plan
    }

    /// How often each device is asked beside its period when these are near a limit and those are silent. A device
    /// is asked twice, three or four times a period, as far as the wire has room; all that are near are made faster
    /// by one step before any is by the next.
    pub fn paces(&self, near: &[bool], silent: &[bool]) -> Vec<Option<u64>> {
        let is = |flags: &[bool], place: usize| flags.get(place).copied().unwrap_or(false);
        let probe = self.probe_share();
        let used: f64 = self.parts.iter().enumerate().map(|(place, part)| if is(silent, place) { probe } else { part.share }).sum();
        let mut room = MOST_SHARE - used;
        let mut times = vec![1; self.parts.len()];
        for step in 2..=MOST_HURRY {
            for (place, part) in self.parts.iter().enumerate() {
                let may = is(near, place) && !is(silent, place) && part.period_ms / step >= LEAST_PERIOD_MS;
                if may && times[place] == step - 1 && part.share <= room {
                    times[place] = step;
                    room -= part.share;
                }
            }
        }
        times.iter().zip(&self.parts).map(|(times, part)| (*times > 1).then(|| part.period_ms.div_ceil(*times))).collect()
    }

    /// Share of the wire's time that is used with so many dead devices beside those that live, 1.0 for all of it.
    pub fn share(&self, dead: usize) -> f64 {
        self.parts.iter().map(|part| part.share).sum::<f64>() + dead as f64 * self.probe_share()
    }

    fn probe_share(&self) -> f64 {
        self.probe_us as f64 / (self.probe_period_ms.max(1) * 1_000) as f64
    }

    /// All devices once, µs.
    pub fn cycle_us(&self) -> u64 {
        self.parts.iter().map(|part| part.poll_us).sum()
    }

    /// Why the periods cannot be met, with the arithmetic; `None` when they can.
    pub fn refusal(&self) -> Option<String> {
        if !self.is_timed || self.share(0) <= 1.0 {
            return None;
        }
        let slower = self.parts.iter().map(|part| part.period_ms).max().unwrap_or(0) as f64 * self.share(0);
        Some(format!(
            "bus {:?} cannot keep its periods: {} devices need {:.1} s of wire a cycle, which is {:.0} % of the time they are given; \
             use periods of at least {:.1} s, a higher baud rate, or a second bus",
            self.bus,
            self.parts.len(),
            self.cycle_us() as f64 / 1e6,
            self.share(0) * 100.0,
            slower / 1000.0,
        ))
    }
}

/// For how many hours this site's readings find room in its spool while the collector is away: every channel of
/// every device once a period, those of a bus that is asked flat out as fast as its wire allows. The reserve for
/// urgent readings is not counted.
pub fn spool_hours(site: &Site) -> f64 {
    let per_second: f64 = site.buses.iter().map(readings_per_second).sum();
    let config = spool::Config::sized(site.spool_bytes, 0, 0);
    // The reserve, one segment ahead, one for rewriting.
    let set_aside = config.segment_bytes * (config.reserve_segments as u64 + 2);
    let room = site.spool_bytes.saturating_sub(set_aside);
    room as f64 / (per_second * SPOOL_BYTES_PER_READING as f64) / 3_600.0
}

fn readings_per_second(bus: &Bus) -> f64 {
    if !bus.flat_out {
        return bus.devices.iter().map(|device| device.channels.len() as f64 * 1_000.0 / device.period_ms.max(1) as f64).sum();
    }
    let channels: usize = bus.devices.iter().map(|device| device.channels.len()).sum();
    channels as f64 * 1e6 / Plan::of(bus).cycle_us().max(1) as f64
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "bus {} over {}", self.bus, self.road)?;
        let head = ["device", "requests", "registers", "wire ms", "period ms", "share", "near a limit"];
        let [device, requests, registers, wire, period, share, fastest] = head;
        writeln!(f, "  {device:<24} {requests:>8} {registers:>9} {wire:>10} {period:>10} {share:>7} {fastest:>13}")?;
        for part in &self.parts {
            let Part { device, requests, registers, period_ms, .. } = part;
            let (share, wire) = (part.share * 100.0, part.poll_us as f64 / 1000.0);
            let fastest = part.fastest_near_a_limit_ms.map_or("as always".to_owned(), |ms| format!("{ms} ms"));
            writeln!(f, "  {device:<24} {requests:>8} {registers:>9} {wire:>10.1} {period_ms:>10} {share:>6.1}% {fastest:>13}")?;
        }
        writeln!(f, "  one cycle of all: {:.1} ms on the wire", self.cycle_us() as f64 / 1000.0)?;
        for dead in [0, 1, 2, 5] {
            let note = if self.share(dead) > 1.0 { "  periods cannot be kept" } else { "" };
            writeln!(f, "  wire used with {dead} more, dead: {:>5.1} %{note}", self.share(dead) * 100.0)?;
        }
        let what = if self.is_timed {
            "10 or 11 bits a character, 3.5 characters of silence before each frame, "
        } else {
            "1 ms a TCP exchange, "
        };
        writeln!(f, "  assumed: {what}{} ms for a device to think", TURN_AROUND_US / 1000)
    }
}

/// How long things take on a bus.
struct Timing {
    character_us: Option<f64>,
    pause_us: u64,
    timeout_us: u64,
    /// For opening a line that is closed after each device.
    reopening_us: u64,
}

impl Timing {
    fn of(bus: &Bus) -> Timing {
        let character_us = match &bus.road {
            Road::Serial { baud, parity, stop_bits, .. } => {
                let parity = u32::from(*parity != tokio_serial::Parity::None);
                let stops = if *stop_bits == tokio_serial::StopBits::Two { 2 } else { 1 };
                Some(f64::from(1 + 8 + parity + stops) * 1e6 / f64::from((*baud).max(1)))
            }
            Road::Tcp(_) | Road::RtuOverTcp(_) | Road::Dtu { .. } => None,
        };
        let us = |duration: std::time::Duration| duration.as_micros() as u64;
        // A DTU's line is not ours to dial again.
        let closes = bus.workarounds.close_connection_after_gather && !matches!(bus.road, Road::Dtu { .. });
        Timing {
            character_us,
            pause_us: us(bus.workarounds.pause_between_requests),
            timeout_us: bus.timeout_ms * 1_000,
            reopening_us: if closes { TCP_EXCHANGE_US + us(bus.workarounds.pause_after_connect) } else { 0 },
        }
    }

    /// As `patience` has it: twice the slowest answer and a margin, and once in a while all the time there is.
    fn probe_us(&self, slowest: u64) -> u64 {
        let usual = (slowest * 2 + PROBE_MARGIN.as_micros() as u64).min(self.timeout_us);
        usual + (self.timeout_us - usual) / u64::from(FULL_PROBE)
    }

    /// A question for so many registers and its answer.
    fn exchange_us(&self, registers: u64) -> u64 {
        debug_assert!(registers <= u64::from(MOST_REGISTERS));
        let Some(character_us) = self.character_us else { return TCP_EXCHANGE_US + TURN_AROUND_US + self.pause_us };
        let characters = QUESTION_CHARACTERS + ANSWER_CHARACTERS + 2 * registers;
        // Serial line 2.5.1.1: 3.5 characters of silence before each frame, never less than 1.75 ms above 19200 baud.
        // A device waits for it before it knows that the question has ended, the link before its next question.
        let silence = (character_us * 3.5).max(1_750.0) as u64;
        (character_us * characters as f64) as u64 + TURN_AROUND_US + silence + silence.max(self.pause_us)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use proptest::prelude::*;

    fn site(devices: u8, baud: u32, period_ms: u64) -> Result<Site, crate::site::SiteError> {
        let mut text = format!(
            "gateway = \"g\"\n[broker]\nurl = \"mqtt://b:1883\"\n[[bus]]\nname = \"bus\"\nserial = \"/dev/ttyS0\"\nbaud = {baud}\n"
        );
        for unit in 1..=devices {
            text += &format!(
                "[[bus.device]]\nname = \"d{unit}\"\nunit = {unit}\nprofile = \"cn-multigas-10reg\"\nperiod_ms = {period_ms}\n\
                 [[bus.device.channel]]\nkey = \"gas\"\ntag = \"gas\"\nquantity = \"CH4\"\nunit = \"%LEL\"\n"
            );
        }
        Site::parse(Path::new("site.toml"), &text)
    }

    #[test]
    fn an_exchange_at_9600_baud_takes_what_the_frames_and_silences_take() {
        let plan = Plan::of(&site(1, 9600, 2000).unwrap().buses[0]);
        // A question of 8 characters and an answer of 5 and two a register, each of 10 bits; 5 ms; twice 3.5 characters.
        let part = &plan.parts[0];
        let (requests, registers) = (part.requests as f64, part.registers as f64);
        let expected = ((13.0 * requests + 2.0 * registers) * 1041.67 + requests * (5_000.0 + 2.0 * 3.5 * 1041.67)) as i64;
        assert!((plan.parts[0].poll_us as i64 - expected).abs() < 10, "{plan:?} {expected}");
    }

    #[test]
    fn dead_devices_add_their_probes() {
        let plan = Plan::of(&site(10, 9600, 2000).unwrap().buses[0]);
        assert!(plan.share(5) > plan.share(0));
        assert!(plan.share(5) - plan.share(0) < 0.1, "{}", plan.share(5) - plan.share(0));
    }

    #[test]
    fn a_site_whose_periods_cannot_be_kept_is_refused_with_the_arithmetic() {
        let refused = site(60, 2400, 1000).unwrap_err().to_string();
        assert!(refused.contains("60 devices need") && refused.contains("use periods of at least"), "{refused}");
        assert!(site(10, 9600, 2000).is_ok());
    }

    #[test]
    fn a_device_near_a_limit_is_asked_four_times_a_period_where_the_wire_has_room() {
        let plan = Plan::of(&site(4, 9600, 2000).unwrap().buses[0]);
        assert_eq!(plan.paces(&[false, true, false, false], &[]), [None, Some(500), None, None]);
        assert_eq!(plan.parts[1].fastest_near_a_limit_ms, Some(500));
    }

    #[test]
    fn the_spool_holds_what_its_bytes_hold() {
        let mut site = site(10, 9600, 2_000).unwrap();
        site.spool_bytes = 512 << 20;
        // Ten channels every two seconds, at what a reading takes; of 64 segments of 4 MiB and more a sixteenth is reserve.
        let most = (512 << 20) as f64 / (5.0 * SPOOL_BYTES_PER_READING as f64) / 3_600.0;
        let hours = spool_hours(&site);
        assert!((most * 0.9..most).contains(&hours), "{hours} of {most}");
        site.spool_bytes *= 2;
        assert!((spool_hours(&site) / hours - 2.0).abs() < 0.1);
        site.buses[0].flat_out = true;
        assert!(spool_hours(&site) < hours);
    }

    #[test]
    fn a_plan_is_written_for_machines() {
        let plan = Plan::of(&site(2, 9600, 2_000).unwrap().buses[0]);
        let json = serde_json::to_value(&plan).unwrap();
        assert_eq!((&json["parts"][1]["device"], &json["parts"][1]["fastest_near_a_limit_ms"]), (&"d2".into(), &500.into()));
        assert_eq!(json["share_with_dead"].as_array().unwrap().len(), 6);
    }

    #[test]
    fn nobody_is_asked_more_often_than_every_quarter_of_a_second() {
        let pace = |period_ms| Plan::of(&site(1, 19_200, period_ms).unwrap().buses[0]).paces(&[true], &[])[0];
        assert_eq!([pace(400), pace(500), pace(800), pace(1_000)], [None, Some(250), Some(267), Some(250)]);
    }

    proptest! {
        /// Whoever is near a limit: the wire is used to nine tenths at most, unless the periods alone use more; and
        /// where there was room for one more step, it was taken.
        #[test]
        fn a_hurry_leaves_a_tenth_of_the_wire(
            parts in prop::collection::vec((1_000_u64..400_000, 250_u64..20_000), 1..30), flags in any::<[u32; 2]>(),
        ) {
            let part = |(poll_us, period_ms): (u64, u64)| Part {
                device: String::new(), requests: 1, registers: 1, poll_us, period_ms,
                share: poll_us as f64 / (period_ms * 1_000) as f64, fastest_near_a_limit_ms: None,
            };
            let plan = Plan {
                bus: String::new(), road: String::new(), is_timed: true, parts: parts.into_iter().map(part).collect(),
                probe_us: 100_000, probe_period_ms: 10_000, share_with_dead: Vec::new(),
            };
            let bits = |flags: u32| (0..plan.parts.len()).map(|place| flags >> place & 1 == 1).collect::<Vec<_>>();
            let (near, silent) = (bits(flags[0]), bits(flags[1] & flags[0].rotate_left(7)));
            let paces = plan.paces(&near, &silent);
            let share_of = |place: usize, period_ms: u64| if silent[place] { 0.01 } else { plan.parts[place].poll_us as f64 / (period_ms * 1_000) as f64 };
            let calm: f64 = (0..paces.len()).map(|place| share_of(place, plan.parts[place].period_ms)).sum();
            let hurried: f64 = (0..paces.len()).map(|place| share_of(place, paces[place].unwrap_or(plan.parts[place].period_ms))).sum();
            prop_assert!(hurried <= calm.max(0.9) + 1e-9, "{hurried} from {calm}");
            for (place, pace) in paces.iter().enumerate() {
                let part = &plan.parts[place];
                let times = (part.period_ms as f64 / pace.unwrap_or(part.period_ms) as f64).round() as u64;
                let may_be_faster = near[place] && !silent[place] && times < 4 && part.period_ms / (times + 1) >= 250;
                prop_assert!(pace.is_none() || (near[place] && !silent[place] && pace.unwrap() >= 250 && pace.unwrap() * 4 >= part.period_ms));
                prop_assert!(!may_be_faster || hurried + part.share > 0.9 - 1e-3, "{place} could be faster: {hurried} + {}", part.share);
            }
        }
    }

    #[test]
    fn the_table_names_every_device_and_the_share_with_dead_ones() {
        let table = Plan::of(&site(3, 9600, 2000).unwrap().buses[0]).to_string();
        assert!(["d1", "d2", "d3", "wire used with 5 more, dead"].iter().all(|word| table.contains(word)), "{table}");
    }
}
