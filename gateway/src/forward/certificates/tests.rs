#![allow(clippy::unwrap_used, reason = "a test may stop here")]
use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// An authority, one certificate of it with its key, and the folder that they lie in.
struct Desk {
    folder: tempfile::TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Desk {
    fn new() -> Desk {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let desk = Desk { folder: tempfile::tempdir().unwrap(), authority };
        desk.write("ca.pem", &desk.authority.pem());
        desk.issue();
        desk
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// A new pair; gives the key's file so that a test can hold it back.
    fn issue(&self) -> String {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["plant-7".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        self.write("own.pem", &params.signed_by(&key, &self.authority).unwrap().pem());
        self.write("own.key", &key.serialize_pem());
        key.serialize_pem()
    }

    fn broker(&self) -> BrokerConfig {
        let path = |name| self.folder.path().join(name);
        BrokerConfig { ca: Some(path("ca.pem")), client_certificate: Some((path("own.pem"), path("own.key"))), ..BrokerConfig::default() }
    }

    fn load(&self) -> Result<Certificates, CertificateError> {
        Certificates::load(&self.broker(), &Clock::manual(1, BUILD_FLOOR))
    }
}

#[test]
fn a_renewed_pair_is_another_set_and_the_same_bytes_are_the_same() {
    let desk = Desk::new();
    let before = desk.load().unwrap();
    assert!(desk.load().unwrap().same_as(&before));
    desk.issue();
    assert!(!desk.load().unwrap().same_as(&before));
}

#[test]
fn the_end_of_our_own_certificate_is_known() {
    assert_eq!(Desk::new().load().unwrap().ends, Some(Timestamp(1_893_456_000_000)));
}

#[test]
fn a_half_written_pair_is_refused_and_both_files_are_named() {
    let desk = Desk::new();
    let old_key = std::fs::read_to_string(desk.folder.path().join("own.key")).unwrap();
    desk.issue();
    desk.write("own.key", &old_key);
    let said = desk.load().unwrap_err().to_string();
    assert!(said.contains("own.pem") && said.contains("own.key") && said.contains("do not fit"), "{said}");
}

#[test]
fn an_empty_file_is_no_certificate() {
    let desk = Desk::new();
    desk.write("ca.pem", "");
    let said = desk.load().unwrap_err().to_string();
    assert!(said.contains("ca.pem") && said.contains("no certificate"), "{said}");
}

#[test]
fn a_person_is_told_thirty_fourteen_seven_and_one_day_before_the_end() {
    let ends = Timestamp(400 * DAY_MS);
    let mut watch = EndWatch::default();
    let told: Vec<i64> = (360..=401).filter(|day| watch.due(ends, Timestamp(day * DAY_MS)).is_some()).map(|day| 400 - day).collect();
    assert_eq!(told, [29, 13, 6, 0, -1]);
    assert_eq!(watch.due(Timestamp(800 * DAY_MS), Timestamp(402 * DAY_MS)), None, "a renewed one is well");
    assert!(watch.due(Timestamp(410 * DAY_MS), Timestamp(402 * DAY_MS)).is_some(), "and its end is told anew");
}

/// What TLS is told of a wall clock of that quality, beside files that were laid down then.
fn told(wall: Timestamp, quality: ClockQuality, laid_down: Timestamp) -> Timestamp {
    use rustls::time_provider::TimeProvider;
    let clock = Clock::manual(1, wall);
    clock.set_quality(quality);
    Timestamp(OurTime { clock, laid_down }.current_time().unwrap().as_secs() as i64 * 1000)
}

#[test]
fn a_clock_that_lost_its_time_is_taken_for_no_earlier_than_the_floor_and_the_files() {
    let (earlier, later) = (Timestamp(BUILD_FLOOR.0 - DAY_MS), Timestamp(BUILD_FLOOR.0 + DAY_MS));
    let untrusted = ClockQuality::Untrusted;
    assert_eq!(told(Timestamp(0), untrusted, earlier), BUILD_FLOOR);
    assert_eq!(told(Timestamp(0), untrusted, later), later);
    assert_eq!(told(later, untrusted, earlier), later);
}

#[test]
fn a_clock_that_is_vouched_for_is_believed_whatever_the_files_say() {
    assert_eq!(told(BUILD_FLOOR, ClockQuality::Synchronised, Timestamp(BUILD_FLOOR.0 + DAY_MS)), BUILD_FLOOR);
}

#[test]
fn files_were_laid_down_when_the_newest_of_them_was_written() {
    let desk = Desk::new();
    let day = |day| std::time::UNIX_EPOCH + Duration::from_millis(day * DAY_MS as u64);
    for (name, on) in [("ca.pem", 20_500), ("own.pem", 20_600), ("own.key", 20_550)] {
        std::fs::File::options().append(true).open(desk.folder.path().join(name)).unwrap().set_modified(day(on)).unwrap();
    }
    assert_eq!(laid_down(&desk.broker()), Timestamp(20_600 * DAY_MS));
    assert_eq!(laid_down(&BrokerConfig::default()), Timestamp(0));
}
