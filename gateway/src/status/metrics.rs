//! The snapshot as Prometheus reads it (text format 0.0.4). Labels are bus and device, never a channel: a scraper
//! of a city must not drown. What is not known is left out, never zero.

use std::fmt::Write;

use telemetry::ClockQuality;

use super::snapshot::Snapshot;
use crate::poll::link::LineSnapshot;

/// The text.
pub fn metrics(seen: &Snapshot) -> String {
    let mut text = Text(String::with_capacity(4096));
    let bool = |is: bool| Some(f64::from(u8::from(is)));
    let seconds = |ms: u64| ms as f64 / 1e3;
    let about = format!("{{version=\"{}\",gateway=\"{}\"}}", seen.version, escaped(&seen.site.gateway));
    text.family("davy_gateway_info", "gauge", "The program and its name.", [(about, Some(1.0))]);
    text.one("davy_gateway_uptime_seconds", "gauge", "Time since the program started.", Some(seconds(seen.up_ms)));
    text.one("process_resident_memory_bytes", "gauge", "Resident memory.", seen.resident.map(|bytes| bytes as f64));
    text.one("davy_gateway_tasks_hanging", "gauge", "Tasks that have not moved as they promised.", Some(seen.hanging.len() as f64));

    let devices = || {
        seen.buses.iter().flat_map(|bus| {
            bus.devices.iter().map(|device| (format!("{{bus=\"{}\",device=\"{}\"}}", escaped(&bus.name), escaped(&device.name)), device))
        })
    };
    let counts = devices().map(|(labels, device)| (labels, Some(device.asked as f64)));
    text.family("davy_polls_total", "counter", "Polls asked of a device.", counts);
    let counts = devices().map(|(labels, device)| (labels, Some(device.failed as f64)));
    text.family("davy_polls_failed_total", "counter", "Polls that brought no registers.", counts);
    let trips = devices().map(|(labels, device)| (labels, device.round_trip_ms.map(seconds)));
    text.family("davy_poll_round_trip_seconds", "gauge", "Time the last answered poll took.", trips);
    let ages = devices().map(|(labels, device)| (labels, device.answered.map(|at| seconds(seen.now.mono.since(at.mono)))));
    text.family("davy_last_answer_age_seconds", "gauge", "Time since the device last answered.", ages);

    let lines = || seen.buses.iter().filter_map(|bus| Some((format!("{{bus=\"{}\"}}", escaped(&bus.name)), bus.line.as_ref()?)));
    for (name, help, count) in LINE_COUNTERS {
        text.family(name, "counter", help, lines().map(|(labels, line)| (labels, Some(count(line) as f64))));
    }
    let flags = lines().map(|(labels, line)| (labels, bool(line.is_noisy)));
    text.family("davy_line_noisy", "gauge", "1 while more than a fifth of the last minute's answers was garbled.", flags);
    let flags = lines().map(|(labels, line)| (labels, bool(line.is_blocked)));
    text.family("davy_line_blocked", "gauge", "1 while unasked bytes do not stop.", flags);

    let post = &seen.post;
    let open = |number: f64| seen.is_spool_open().then_some(number);
    text.one("davy_spool_open", "gauge", "1 when the spool is open.", bool(seen.is_spool_open()));
    text.one("davy_spool_bytes", "gauge", "Bytes the spool takes.", open(post.spool_bytes as f64));
    text.one("davy_spool_capacity_bytes", "gauge", "Bytes the spool may take.", open(post.spool_capacity as f64));
    text.one("davy_spool_unacknowledged", "gauge", "Entries the collector has not acknowledged.", open(post.unacknowledged as f64));
    text.one("davy_spool_entries_total", "counter", "Highest sequence on the disk.", open(post.highest as f64));
    text.one("davy_spool_degraded", "gauge", "1 while the disk refuses writes or the spool is thinned.", bool(post.degraded));
    text.one("davy_spool_slowest_commit_seconds", "gauge", "Slowest commit of the last minute.", open(seconds(post.commit_ms)));
    text.one("davy_entries_lost_total", "counter", "Entries lost before they had a sequence.", Some(post.lost as f64));
    text.one("davy_broker_connected", "gauge", "1 while the broker connection stands.", bool(post.connected));
    let age = seen.acknowledged_ago_ms().map(seconds);
    text.one("davy_last_acknowledgement_age_seconds", "gauge", "Time since the collector last acknowledged.", age);
    let transit = post.transit_ms.map(|ms| f64::from(ms) / 1e3);
    text.one("davy_transit_seconds", "gauge", "Bound of the way to the collector and back.", transit);

    let is_synchronised = seen.clock == ClockQuality::Synchronised;
    text.one("davy_clock_synchronised", "gauge", "1 when the wall clock is disciplined or vouched for.", bool(is_synchronised));
    let offset = seen.clock_offset_ms.map(|ms| ms / 1e3);
    text.one("davy_clock_offset_seconds", "gauge", "What the kernel still corrects of the wall clock.", offset);
    text.one("davy_site_refused", "gauge", "1 while a newer site file is refused.", bool(seen.site.refused.is_some()));
    text.0
}

type Count = fn(&LineSnapshot) -> u64;

const LINE_COUNTERS: [(&str, &str, Count); 9] = [
    ("davy_line_questions_total", "Questions sent, those asked again included.", |line| line.questions),
    ("davy_line_answers_total", "Good answers.", |line| line.answers),
    ("davy_line_exceptions_total", "Answers that say no.", |line| line.exceptions),
    ("davy_line_timeouts_total", "Questions that nobody answered in time.", |line| line.timeouts),
    ("davy_line_garbled_total", "Answers that failed their check or were no frames.", |line| line.garbled),
    ("davy_line_foreign_total", "Whole frames of units that were not asked.", |line| line.foreign),
    ("davy_line_unasked_bytes_total", "Bytes that came when nothing had been asked.", |line| line.unasked_bytes),
    ("davy_line_reconnects_total", "How often the line was opened, beyond the first time.", |line| line.reconnects),
    ("davy_line_blocked_total", "Questions that could not be asked because unasked bytes did not stop.", |line| line.blocked),
];

struct Text(String);

impl Text {
    fn one(&mut self, name: &str, kind: &str, help: &str, number: Option<f64>) {
        self.family(name, kind, help, [(String::new(), number)]);
    }

    fn family(&mut self, name: &str, kind: &str, help: &str, numbers: impl IntoIterator<Item = (String, Option<f64>)>) {
        let mut is_begun = false;
        for (labels, number) in numbers {
            let Some(number) = number.filter(|number| number.is_finite()) else { continue };
            if !is_begun {
                let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
                is_begun = true;
            }
            let _ = writeln!(self.0, "{name}{labels} {number}");
        }
    }
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
