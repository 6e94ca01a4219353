#![allow(clippy::unwrap_used, reason = "a test may stop here")]
use super::*;

#[test]
fn every_shipped_profile_passes_its_own_vectors() {
    for (id, text) in SHIPPED {
        let profile = Profile::parse(id, text).unwrap();
        assert_eq!(profile.id, *id);
        assert!(!profile.vectors.is_empty(), "{id} has no vectors");
        assert_eq!(profile.test(), Vec::<String>::new(), "{id}");
    }
}

#[test]
fn a_wrong_vector_is_explained() {
    let text = SHIPPED[0].1.replacen("gas = 50.0", "gas = 51.0", 1);
    let failures = Profile::parse("x", &text).unwrap().test();
    assert_eq!(failures, ["methane 50 %LEL, alarm 2: gas is 50 where 51.0 is expected"]);
}

#[test]
fn a_profile_can_only_read() {
    let text = SHIPPED[0].1.replacen("address = 2", "function = 6\naddress = 2", 1);
    assert!(Profile::parse("x", &text).unwrap_err().contains("must be 3 or 4; Davy only reads"));
}

#[test]
fn an_unknown_key_in_a_profile_is_refused_with_its_line() {
    let text = SHIPPED[0].1.replacen("maker =", "makers =", 1);
    let said = Profile::parse("x.toml", &text).unwrap_err();
    assert!(said.starts_with("profile x.toml:") && said.contains("makers"), "{said}");
}

#[test]
fn the_four_byte_orders_read_the_same_number() {
    let check = |order, words: [u16; 2]| {
        let register = Register { key: "x".into(), function: 3, address: 10, kind: Kind::F32, order, mask: None };
        let mut image = Words::default();
        image.add(Block { function: 3, address: 10, count: 2 }, &words);
        assert_eq!(register.number(&image), Some(12.5), "{order:?}");
    };
    check(Order::Abcd, [0x4148, 0x0000]);
    check(Order::Cdab, [0x0000, 0x4148]);
    check(Order::Badc, [0x4841, 0x0000]);
    check(Order::Dcba, [0x0000, 0x4841]);
}

#[test]
fn words_that_were_not_read_make_no_value() {
    let profile = Profile::parse("x", SHIPPED[0].1).unwrap();
    assert_eq!(profile.read("gas", &Words::default()), Outcome::Bad(Fault::Corrupt));
}

#[test]
fn neighbouring_registers_are_read_in_one_request_and_never_more_than_125() {
    let profile = Profile::parse("x", SHIPPED[0].1).unwrap();
    assert_eq!(profile.blocks(&["gas"]), [Block { function: 3, address: 2, count: 5 }]);
    let node = Profile::davy_node();
    let keys: Vec<String> = (0..16).map(|key| key.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    assert!(node.blocks(&keys).iter().all(|block| block.count <= MOST_REGISTERS));
    assert_eq!(node.blocks(&keys).iter().skip(1).map(|block| block.count).sum::<u16>(), 16 * 16);
}
