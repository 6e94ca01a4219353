#![allow(clippy::unwrap_used, reason = "a test may stop here")]
use measurement::{MonotonicMs, Timestamp};
use telemetry::ClockQuality;

use super::board::{BusStanding, DeviceStanding, SiteStanding};
use super::snapshot::Mark;
use super::*;
use crate::forward::PostStatus;

fn at(mono: u64) -> Moment {
    Moment { wall: Timestamp(1_795_000_000_000 + mono as i64), mono: MonotonicMs(mono) }
}

fn device(name: &str, answered: Option<u64>, trouble: Option<&str>) -> DeviceStanding {
    DeviceStanding {
        name: name.to_owned(),
        profile: "davy-node".to_owned(),
        unit: 3,
        answered: answered.map(at),
        round_trip_ms: answered.map(|_| 40),
        asked: 10,
        failed: 2,
        trouble: trouble.map(str::to_owned),
        refuses: false,
    }
}

fn well() -> Snapshot {
    let devices = vec![device("T-1", Some(9_000), None), device("T-2", None, Some("no answer within 1000 ms"))];
    Snapshot {
        version: "1.2.3",
        now: at(10_000),
        up_ms: 10_000,
        clock: ClockQuality::Synchronised,
        clock_offset_ms: Some(0.25),
        resident: Some(20 << 20),
        site: SiteStanding { gateway: "works-1".to_owned(), name: "Works".to_owned(), ..SiteStanding::default() },
        buses: vec![BusStanding { name: "line \"1\"".to_owned(), road: "serial /dev/ttyUSB0".to_owned(), line: None, devices }],
        hanging: Vec::new(),
        post: PostStatus { connected: true, spool_capacity: 1 << 20, spool_bytes: 1 << 10, ..PostStatus::default() },
    }
}

#[test]
fn a_gateway_that_polls_keeps_and_delivers_is_ready() {
    assert_eq!(well().ready(), Vec::<String>::new());
    assert_eq!(well().mark(), Mark::Attention, "one of its two devices is silent");
}

#[test]
fn whoever_is_not_ready_says_why() {
    let check = |change: fn(&mut Snapshot), reasons: &[&str]| {
        let mut seen = well();
        change(&mut seen);
        assert_eq!(seen.ready(), reasons);
    };
    check(|seen| seen.post.connected = false, &["no broker: connecting"]);
    check(|seen| seen.post.spool_capacity = 0, &["the spool is not open: it is being opened"]);
    check(|seen| seen.buses[0].devices[0].trouble = Some("x".to_owned()), &["no device answers"]);
    check(|seen| seen.buses.clear(), &["no device is in the site file"]);
    check(|seen| seen.hanging.push(("bus a".to_owned(), 61_000)), &["bus a has not moved for 61 s more than it should"]);
}

#[test]
fn a_collector_that_is_away_behind_a_living_broker_is_told() {
    let check = |unacknowledged, last_ack: Option<u64>, up_ms, why: Option<&str>| {
        let mut seen = Snapshot { now: at(100_000), up_ms, buses: vec![well().buses.remove(0)], ..well() };
        seen.post = PostStatus { unacknowledged, last_ack_mono: last_ack.map(MonotonicMs), ..seen.post };
        assert_eq!(seen.ready(), Vec::from_iter(why));
        assert_eq!(seen.broker_mark(), if why.is_some() { Mark::Fault } else { Mark::Well });
        assert_eq!(page::page(&seen).contains(why.unwrap_or("acknowledged nothing")), why.is_some());
    };
    check(3, Some(60_000), 90_000, Some("the collector has acknowledged nothing for 40 s"));
    check(3, None, 31_000, Some("the collector has acknowledged nothing for 31 s"));
    check(3, Some(80_000), 90_000, None);
    check(3, None, 20_000, None);
    check(0, Some(10_000), 90_000, None);
}

#[test]
fn the_age_of_an_acknowledgement_does_not_follow_the_wall_clock() {
    let mut seen = well();
    seen.post.last_ack_mono = Some(MonotonicMs(4_000));
    // The wall clock was set back.
    seen.post.last_ack = Some(Timestamp(seen.now.wall.0 + 3_600_000));
    let text = metrics::metrics(&seen);
    assert!(text.contains("davy_last_acknowledgement_age_seconds 6\n"), "{text}");
    assert!(page::page(&seen).contains("6 s 前"));
}

#[test]
fn a_device_that_refuses_is_not_called_silent() {
    let mut seen = well();
    let device = &mut seen.buses[0].devices[0];
    (device.trouble, device.refuses) = (Some("the device refuses with exception 2".to_owned()), true);
    assert_eq!(seen.ready(), ["no device gives registers: they refuse or are silent"]);
    let html = page::page(&seen);
    assert!(html.contains("拒绝") && html.contains("refuses"), "{html}");
}

#[test]
fn a_silent_device_or_a_lost_broker_does_not_make_the_process_dead_but_a_hanging_task_does() {
    let mut seen = Snapshot { post: PostStatus::default(), buses: Vec::new(), ..well() };
    assert_eq!(seen.alive(), Vec::<String>::new());
    seen.hanging.push(("keeper".to_owned(), 20_000));
    assert_eq!(seen.alive(), ["keeper has not moved for 20 s more than it should"]);
}

#[test]
fn metrics_name_bus_and_device_escape_them_and_leave_out_what_is_not_known() {
    let text = metrics::metrics(&well());
    assert!(text.contains("davy_polls_total{bus=\"line \\\"1\\\"\",device=\"T-1\"} 10\n"), "{text}");
    assert!(text.contains("davy_last_answer_age_seconds{bus=\"line \\\"1\\\"\",device=\"T-1\"} 1\n"), "{text}");
    assert!(!text.contains("davy_last_answer_age_seconds{bus=\"line \\\"1\\\"\",device=\"T-2\"}"), "{text}");
    assert!(!text.contains("davy_transit_seconds"), "unknown is not zero: {text}");
    assert!(text.contains("# TYPE davy_polls_failed_total counter\n"), "{text}");
}

#[test]
fn every_metric_line_is_one_that_prometheus_reads() {
    for line in metrics::metrics(&well()).lines().filter(|line| !line.starts_with('#')) {
        let (name, number) = line.rsplit_once(' ').unwrap();
        assert!(number.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
        let bare = name.split('{').next().unwrap();
        assert!(bare.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'), "{line}");
    }
}

#[test]
fn the_page_escapes_what_comes_from_the_site_file_and_says_state_in_words() {
    let mut seen = well();
    seen.site.name = "<script>alert(1)</script>".to_owned();
    seen.site.refused = Some("site.toml:8: unknown field `a<b`".to_owned());
    let html = page::page(&seen);
    assert!(!html.contains("<script"), "{html}");
    assert!(html.contains("a&lt;b") && html.contains("无应答") && html.contains("no answer within 1000 ms"), "{html}");
    assert!(!html.contains("http://") && !html.contains("https://"), "nothing is loaded from elsewhere");
}

#[test]
fn only_a_loopback_name_is_answered() {
    for host in ["127.0.0.1:8470", "localhost:8470", "LOCALHOST", "[::1]:8470", "[::1]", "127.0.0.1"] {
        assert!(is_this_host(host), "{host}");
    }
    for host in ["", "evil.example", "evil.example:8470", "10.0.0.5:8470", "localhost.evil.example", "127.0.0.1.evil.example"] {
        assert!(!is_this_host(host), "{host}");
    }
}
