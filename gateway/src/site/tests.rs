#![allow(clippy::unwrap_used, reason = "a test may stop here")]
use super::*;

const GOOD: &str = r#"gateway = "works-1"
name = "Works"
[broker]
url = "mqtt://127.0.0.1:1883"
[[bus]]
name = "line-1"
serial = "/dev/ttyUSB0"
baud = 9600
[[bus.device]]
name = "tank-1"
unit = 1
profile = "davy-node"
period_ms = 1000
[[bus.device.channel]]
key = "0"
tag = "CH4"
quantity = "CH4"
unit = "%LEL"
range = [0.0, 100.0]
limit = [{ high = 10.0, release = 9.5 }]
[[bus.device]]
name = "tank-2"
unit = 2
profile = "honeywell-xnx"
[[bus.device.channel]]
key = "gas"
tag = "CH4"
quantity = "CH4"
unit = "%LEL"
"#;

fn refused(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    Site::parse(Path::new("site.toml"), &GOOD.replacen(from, to, 1)).unwrap_err().to_string()
}

#[test]
fn a_good_site_is_taken_and_numbers_its_channels() {
    let site = Site { health_every_ms: 0, ..Site::parse(Path::new("site.toml"), GOOD).unwrap() };
    let tags: Vec<String> = site.catalogue().channels.into_iter().map(|channel| channel.tag).collect();
    assert_eq!(tags, ["tank-1/CH4", "tank-2/CH4"]);
    assert_eq!(site.buses[0].devices[1].channels[0].number, 1);
}

#[test]
fn an_unknown_key_is_refused_with_its_line() {
    let said = refused("baud = 9600", "bauds = 9600");
    assert!(said.starts_with("site.toml:8: ") && said.contains("bauds"), "{said}");
}

#[test]
fn two_devices_with_one_unit_id_on_a_bus_are_refused() {
    let said = refused("unit = 2", "unit = 1");
    assert_eq!(said, "site.toml:23: unit 1 is already device \"tank-1\" on bus \"line-1\"; every device on a bus needs its own");
}

#[test]
fn a_limit_whose_release_lies_beyond_its_setpoint_is_refused() {
    let said = refused("release = 9.5", "release = 12.0");
    assert_eq!(said, "site.toml:20: release 12 lies beyond the setpoint 10; it must lie on the safe side of it");
}

#[test]
fn a_limit_outside_the_range_is_refused() {
    let said = refused("high = 10.0, release = 9.5", "high = 200.0");
    assert!(said.starts_with("site.toml:20: limit 200 lies outside the range 0 to 100"), "{said}");
}

#[test]
fn a_bad_address_is_refused() {
    let said = refused("serial = \"/dev/ttyUSB0\"", "tcp = \"192.168.1.20\"");
    assert_eq!(said, "site.toml:7: address \"192.168.1.20\" must be host:port, for example 192.168.1.20:502");
}

#[test]
fn a_unit_id_that_no_serial_device_can_have_is_refused() {
    assert_eq!(refused("unit = 2", "unit = 0"), "site.toml:23: unit 0 must lie between 1 and 254");
}

#[test]
fn a_value_the_profile_does_not_have_is_refused_and_those_it_has_are_named() {
    let said = refused("key = \"gas\"", "key = \"methane\"");
    assert!(said.starts_with("site.toml:26: profile honeywell-xnx has no value \"methane\"; it has gas"), "{said}");
}

#[test]
fn an_unknown_profile_a_unit_and_a_broker_are_refused_in_one_sentence() {
    assert!(refused("\"davy-node\"", "\"dave\"").contains("site.toml:12: there is no profile \"dave\""));
    assert!(refused("unit = \"%LEL\"\nrange", "unit = \"LEL\"\nrange").contains("site.toml:18: \"LEL\" is not a unit"));
    assert!(refused("mqtt://127.0.0.1:1883", "127.0.0.1").contains("site.toml:4: broker url"));
}

#[test]
fn a_bus_needs_exactly_one_road() {
    assert!(refused("serial = \"/dev/ttyUSB0\"", "flat_out = true").contains("exactly one of tcp, rtu_over_tcp, serial and dtu"));
}

#[test]
fn workarounds_have_the_names_that_users_of_telegraf_know() {
    let text = GOOD.replace("baud = 9600", "baud = 9600\n[bus.workarounds]\npause_after_connect = \"50ms\"\npause_between_requests = \"150ms\"\nclose_connection_after_gather = true\none_request_per_field = true\nmax_registers_per_request = 16");
    let bus = Site::parse(Path::new("site.toml"), &text).unwrap().buses.remove(0);
    let expected = Workarounds {
        pause_after_connect: Duration::from_millis(50),
        pause_between_requests: Duration::from_millis(150),
        close_connection_after_gather: true,
        one_request_per_field: true,
        max_registers_per_request: 16,
    };
    assert_eq!(bus.workarounds, expected);
    let said = Site::parse(Path::new("site.toml"), &text.replace("150ms", "150")).unwrap_err().to_string();
    assert_eq!(said, "site.toml:11: \"150\" is not a pause; write for example \"150ms\" or \"2s\", at most \"60s\"");
}

#[test]
fn a_bus_behind_a_dtu_has_its_registration_packet_and_a_place_where_it_dials_in() {
    let dialled = GOOD.replace("serial = \"/dev/ttyUSB0\"\nbaud = 9600", "dtu = \"0x313338\"");
    let said = Site::parse(Path::new("site.toml"), &dialled).unwrap_err().to_string();
    assert!(said.starts_with("site.toml:6: bus \"line-1\" waits for a DTU, so the site needs [dtu]"), "{said}");
    let site = Site::parse(Path::new("site.toml"), &dialled.replace("[[bus]]", "[dtu]\nlisten = \"127.0.0.1:9002\"\n[[bus]]")).unwrap();
    assert_eq!(site.buses[0].road, Road::Dtu { registration: b"138".to_vec() });
}

#[test]
fn only_a_davy_node_can_be_written_to_and_only_where_the_site_says_so() {
    let site =
        Site::parse(Path::new("site.toml"), &GOOD.replace("period_ms = 1000", "settings_writable = true\nsettings_hash = \"00C0FFEE\""))
            .unwrap();
    assert!(site.buses[0].devices[0].settings_writable && !site.buses[0].devices[1].settings_writable);
    assert_eq!(site.buses[0].devices[0].settings_hash, Some(0x00C0_FFEE));
    let said = refused("profile = \"honeywell-xnx\"", "profile = \"honeywell-xnx\"\nsettings_writable = true");
    assert!(said.contains("settings_writable is for Davy nodes; honeywell-xnx is none"), "{said}");
}

#[test]
fn a_status_page_for_others_than_this_host_is_refused() {
    let listening = |at: &str| Site::parse(Path::new("site.toml"), &format!("{GOOD}[status]\nlisten = {at:?}\n"));
    let said = listening("0.0.0.0:8470").unwrap_err().to_string();
    assert!(said.starts_with("site.toml:31: the status page is for this host only; write listen = \"127.0.0.1:8470\""), "{said}");
    assert_eq!(listening("[::1]:8470").unwrap().status, Some("[::1]:8470".parse().unwrap()));
}

#[test]
fn no_device_can_take_the_name_of_the_gateway_s_own_health() {
    let said = refused("name = \"tank-1\"", "name = \"gateway\"");
    assert!(said.starts_with("site.toml:10: device name \"gateway\" is taken by the gateway's own health"), "{said}");
}

#[test]
fn the_files_that_prove_who_is_who_lie_beside_the_site_file() {
    let tls = "mqtts://collector:8883\"\nca = \"ca.pem\"\ncertificate = \"tls/us.pem\"\nkey = \"/run/key.pem\"";
    let text = GOOD.replacen("mqtt://127.0.0.1:1883\"", tls, 1);
    let broker = Site::parse(Path::new("/etc/davy-gateway/site.toml"), &text).unwrap().broker;
    assert_eq!(broker.ca.as_deref(), Some(Path::new("/etc/davy-gateway/ca.pem")));
    let pair = (PathBuf::from("/etc/davy-gateway/tls/us.pem"), PathBuf::from("/run/key.pem"));
    assert_eq!(broker.client_certificate, Some(pair));
}

#[test]
fn half_a_pair_and_tls_without_an_authority_are_refused() {
    let url = "url = \"mqtt://127.0.0.1:1883\"";
    let said = refused(url, "url = \"mqtt://b\"\ncertificate = \"us.pem\"");
    assert!(said.starts_with("site.toml:5: certificate goes with key"), "{said}");
    let said = refused(url, "url = \"mqtt://b\"\nkey = \"key.pem\"");
    assert!(said.starts_with("site.toml:5: key goes with certificate"), "{said}");
    let said = refused(url, "url = \"mqtts://b\"");
    assert!(said.starts_with("site.toml:4: mqtts://b needs ca"), "{said}");
}
