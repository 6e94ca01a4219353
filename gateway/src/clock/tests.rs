use super::*;

#[test]
fn a_wall_clock_before_the_build_is_never_trusted() {
    assert_eq!(judge(Timestamp(0), true), ClockQuality::Untrusted);
    assert_eq!(judge(BUILD_FLOOR, true), ClockQuality::Synchronised);
    assert_eq!(judge(BUILD_FLOOR, false), ClockQuality::Untrusted);
}

#[test]
fn a_step_of_the_wall_clock_is_noticed_once_and_drift_is_not() {
    let mut watch = StepWatch::default();
    let at = |wall, mono| Moment { wall: Timestamp(wall), mono: MonotonicMs(mono) };
    assert_eq!(watch.observe(at(1_000_000, 0)), None);
    assert_eq!(watch.observe(at(1_060_900, 60_000)), None);
    assert_eq!(watch.observe(at(1_060_900 - 3_600_000 + 1_000, 61_000)), Some(-3_600_000));
    assert_eq!(watch.observe(at(1_060_900 - 3_600_000 + 2_000, 62_000)), None);
}

#[test]
fn the_monotonic_clock_does_not_go_backwards_and_the_boot_keeps_its_name() {
    let clock = Clock::system(false);
    let first = clock.mono();
    assert!(clock.mono() >= first);
    assert_eq!(clock.boot(), clock.clone().boot());
    assert_ne!(clock.boot(), 0);
}

#[test]
fn without_a_boot_id_every_run_is_a_boot_of_its_own() {
    let nowhere = Path::new("/nonexistent/boot_id");
    assert_ne!(boot_id(nowhere), boot_id(nowhere));
}

#[test]
fn whether_the_clock_is_disciplined_is_looked_at_once_a_second() {
    let mut discipline = Discipline::default();
    let mut seen = |at, is_so: bool| discipline.known(MonotonicMs(at), || is_so);
    assert!(!seen(5_000, false));
    assert!(!seen(5_999, true));
    assert!(seen(6_000, true));
    assert!(seen(6_999, false));
}
