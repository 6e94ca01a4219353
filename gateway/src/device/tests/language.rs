//! Each word of the profile language, and the sentences that refuse a bad profile.
use super::*;

const TWO: &str = "[[register]]\nkey = \"a\"\naddress = 0\ntype = \"u16\"\n[[register]]\nkey = \"b\"\naddress = 1\ntype = \"u16\"\n";

/// A value "v" of register a, with this more in its table.
fn reads(more: &str, words: &[u16], expected: Outcome) {
    let profile = profile(&format!("{TWO}[[value]]\nkey = \"v\"\nregister = \"a\"\n{more}\n"));
    assert_eq!(profile.read("v", &holding(0, words)), expected, "{more} of {words:?}");
}

fn refused(tables: &str, sentence: &str) {
    assert_eq!(parse(tables).unwrap_err(), format!("profile x.toml: {sentence}"));
}

/// A refusal that knows its line.
fn refused_at_a_line(tables: &str, words: &str) {
    let said = parse(tables).unwrap_err();
    assert!(said.starts_with("profile x.toml:") && said.contains(words), "{said}");
}

fn number(kind: Kind, order: Order, mask: Option<u16>, words: &[u16]) -> Option<f64> {
    Register { key: "x".into(), function: 3, address: 10, kind, order, mask }.number(&holding(10, words))
}

#[test]
fn the_four_byte_orders_read_the_same_number() {
    for kind in [Kind::F32, Kind::U32, Kind::I32] {
        let expected = number(kind, Order::Abcd, None, &[0x4148, 0x0102]);
        assert!(expected.is_some());
        assert_eq!(number(kind, Order::Cdab, None, &[0x0102, 0x4148]), expected, "{kind:?}");
        assert_eq!(number(kind, Order::Badc, None, &[0x4841, 0x0201]), expected, "{kind:?}");
        assert_eq!(number(kind, Order::Dcba, None, &[0x0201, 0x4841]), expected, "{kind:?}");
    }
    assert_eq!(number(Kind::F32, Order::Abcd, None, &[0x4148, 0x0000]), Some(12.5));
}

#[test]
fn every_type_reads_its_bits() {
    assert_eq!(number(Kind::U16, Order::Abcd, None, &[0xFFF6]), Some(65526.0));
    assert_eq!(number(Kind::I16, Order::Abcd, None, &[0xFFF6]), Some(-10.0));
    assert_eq!(number(Kind::U32, Order::Abcd, None, &[0xFFFF, 0xFFF6]), Some(4_294_967_286.0));
    assert_eq!(number(Kind::I32, Order::Abcd, None, &[0xFFFF, 0xFFF6]), Some(-10.0));
    assert_eq!(number(Kind::U8hi, Order::Abcd, None, &[0x0362]), Some(3.0));
    assert_eq!(number(Kind::U8lo, Order::Abcd, None, &[0x0362]), Some(98.0));
    assert_eq!(number(Kind::U16, Order::Abcd, Some(0x0C00), &[0x2400]), Some(1.0));
    assert_eq!(number(Kind::F32, Order::Abcd, None, &[0x7FC0, 0x0000]), None);
    assert_eq!(number(Kind::F32, Order::Abcd, None, &[0x7F80, 0x0000]), None);
    assert_eq!(number(Kind::U32, Order::Abcd, None, &[1]), None);
}

#[test]
fn scale_offset_and_decimals_make_the_number() {
    reads("scale = 0.1\noffset = -50.0", &[746, 0], good(24.6));
    reads("decimals = \"b\"", &[327, 2], good(3.27));
}

#[test]
fn a_decimal_point_that_lies_nowhere_or_was_not_read_makes_no_value() {
    reads("decimals = \"b\"", &[327, 10], Outcome::Bad(Fault::Corrupt));
    reads("decimals = \"b\"", &[327], Outcome::Bad(Fault::Corrupt));
}

#[test]
fn a_mark_for_no_value_is_a_fault() {
    reads("no_value = [0xFFFF]", &[0xFFFF, 0], Outcome::Bad(Fault::NotANumber));
    reads("no_value = [0xFFFF]", &[0xFFFE, 0], good(65534.0));
}

#[test]
fn two_registers_make_one_number() {
    reads("combine = { register = \"b\", by = \"plus\", scale = 0.01 }", &[12, 50], good(12.5));
    reads("combine = { register = \"b\", by = \"minus\" }\nscale = 0.1", &[125, 25], good(10.0));
    reads("combine = { register = \"b\", by = \"times\" }", &[12, 3], good(36.0));
    reads("combine = { register = \"b\", by = \"over\" }", &[12, 4], good(3.0));
    reads("combine = { register = \"b\", by = \"over\" }", &[12, 0], Outcome::Bad(Fault::NotANumber));
    reads("combine = { register = \"b\", by = \"plus\" }", &[12], Outcome::Bad(Fault::NotANumber));
}

#[test]
fn of_several_values_with_one_key_the_first_whose_condition_holds_counts() {
    let value = |scale: &str, when: &str| {
        format!("[[value]]\nkey = \"v\"\nregister = \"a\"\nscale = {scale}\nwhen = {{ register = \"b\", {when} }}\n")
    };
    let profile = profile(&format!("{TWO}{}{}", value("1.0", "equals = [1]"), value("0.1", "between = [2, 3]")));
    assert_eq!(profile.read("v", &holding(0, &[50, 1])), good(50.0));
    assert_eq!(profile.read("v", &holding(0, &[50, 3])), good(5.0));
    assert_eq!(profile.read("v", &holding(0, &[50, 4])), Outcome::Bad(Fault::Configuration));
    assert_eq!(profile.read("v", &holding(0, &[50])), Outcome::Bad(Fault::Corrupt));
    assert_eq!(profile.keys(), ["v"]);
}

#[test]
fn each_condition_of_a_status_decides() {
    let check = |condition: &str, holds: u16, does_not: u16| {
        let text =
            format!("{TWO}[[value]]\nkey = \"v\"\nregister = \"a\"\n[[status]]\nregister = \"b\"\n{condition}\nfault = \"WarmUp\"\n");
        let profile = profile(&text);
        assert_eq!(profile.read("v", &holding(0, &[50, holds])), Outcome::Bad(Fault::WarmUp), "{condition}");
        assert_eq!(profile.read("v", &holding(0, &[50, does_not])), good(50.0), "{condition}");
    };
    check("equals = [3, 11]", 11, 4);
    check("between = [4, 6]", 6, 7);
    check("bit = 6", 0x40, 0x80);
    check("clear = 6", 0x80, 0x40);
    check("above = \"a\"", 51, 50);
    check("bit = 0\nwhen = { register = \"b\", bit = 1 }", 3, 1);
}

#[test]
fn a_fault_stands_before_a_doubt_and_a_status_of_another_value_says_nothing() {
    let status = |bit: u8, what: &str| format!("[[status]]\nregister = \"b\"\nbit = {bit}\n{what}\n");
    let (doubt, fault) = (status(0, "doubt = \"Maintenance\""), status(1, "fault = \"SensorFailure\"\nvalue = \"v\""));
    let text = format!("{TWO}[[value]]\nkey = \"v\"\nregister = \"a\"\n[[value]]\nkey = \"w\"\nregister = \"a\"\n{doubt}{fault}");
    let profile = profile(&text);
    let image = holding(0, &[50, 3]);
    assert_eq!(profile.read("v", &image), Outcome::Bad(Fault::SensorFailure));
    assert!(matches!(profile.read("w", &image), Outcome::Uncertain(_, Doubt::Maintenance)));
}

#[test]
fn coils_and_inputs_are_read_by_functions_of_their_own_and_are_0_or_1() {
    let bit = |key: &str, function: u8| {
        format!(
            "[[register]]\nkey = \"{key}\"\nfunction = {function}\naddress = 0\ntype = \"bit\"\n[[value]]\nkey = \"{key}\"\nregister = \"{key}\"\n"
        )
    };
    let profile = profile(&format!("{}{}", bit("coil", 1), bit("input", 2)));
    let blocks = profile.blocks(&["coil", "input"], &Workarounds::default());
    assert_eq!(blocks, [1, 2].map(|function| Block { function, address: 0, count: 1 }));
    let mut image = Words::default();
    image.add(blocks[0], &[1]);
    image.add(blocks[1], &[7]);
    assert_eq!(profile.read("coil", &image), good(1.0));
    assert_eq!(profile.read("input", &image), Outcome::Bad(Fault::NotANumber));
}

#[test]
fn a_unit_is_stated_by_the_profile_or_read_from_the_device() {
    let unit = |more: &str, words: &[u16]| {
        let unit = "[[register]]\nkey = \"u\"\naddress = 2\ntype = \"text4\"\n";
        profile(&format!("{TWO}{unit}[[value]]\nkey = \"v\"\nregister = \"a\"\n{more}\n")).stated_unit("v", &holding(0, words))
    };
    assert_eq!(unit("", &[0, 0]), StatedUnit::None);
    assert_eq!(unit("unit = \"ppm\"", &[0, 0]), StatedUnit::Is(Unit::Ppm));
    let by_number = "unit_from = { register = \"b\", symbols = { 0 = \"\", 5 = \"%LEL\", 0x10 = \"mA\" } }";
    assert_eq!(unit(by_number, &[0, 0]), StatedUnit::None);
    assert_eq!(unit(by_number, &[0, 5]), StatedUnit::Is(Unit::PercentLel));
    assert_eq!(unit(by_number, &[0, 16]), StatedUnit::Is(Unit::Milliampere));
    assert_eq!(unit(by_number, &[0, 6]), StatedUnit::Unknown);
    let by_text = "unit_from = { register = \"u\", symbols = { PPM = \"ppm\" } }";
    assert_eq!(unit(by_text, &[0, 0, 0x5050, 0x4D20]), StatedUnit::Is(Unit::Ppm));
    assert_eq!(unit(by_text, &[0, 0, 0x5050, 0x4220]), StatedUnit::Unknown);
}

#[test]
fn another_device_is_known_by_its_identity_and_a_missing_answer_is_not_another_device() {
    let profile = profile(&format!("{TWO}[[identity]]\nregister = \"b\"\nequals = [8]\n[[value]]\nkey = \"v\"\nregister = \"a\"\n"));
    assert_eq!(profile.read("v", &holding(0, &[50, 8])), good(50.0));
    assert_eq!(profile.read("v", &holding(0, &[50, 9])), Outcome::Bad(Fault::WrongDevice));
    assert_eq!(profile.read("v", &holding(0, &[50])), Outcome::Bad(Fault::Corrupt));
    assert!(profile.recognises(&holding(1, &[8])) && !profile.recognises(&Words::default()));
}

#[test]
fn holes_and_the_most_registers_of_one_answer_shape_the_requests() {
    let far = "[[register]]\nkey = \"c\"\naddress = 4\ntype = \"u32\"\n[[value]]\nkey = \"v\"\nregister = \"a\"\ncombine = { register = \"c\", by = \"plus\" }\n";
    let blocks = |top: &str| profile(&format!("{top}\n{TWO}{far}")).blocks(&["v"], &Workarounds::default());
    let block = |address, count| Block { function: 3, address, count };
    assert_eq!(blocks("largest_hole = 2"), [block(0, 1), block(4, 2)]);
    assert_eq!(blocks("largest_hole = 3"), [block(0, 6)]);
    assert_eq!(blocks("largest_hole = 3\nmost_registers = 5"), [block(0, 1), block(4, 2)]);
}

#[test]
fn a_register_at_the_last_address_is_read_and_one_beyond_it_is_refused() {
    let last =
        |kind: &str| format!("[[register]]\nkey = \"a\"\naddress = 65535\ntype = \"{kind}\"\n[[value]]\nkey = \"v\"\nregister = \"a\"\n");
    assert_eq!(profile(&last("u16")).blocks(&["v"], &Workarounds::default()), [Block { function: 3, address: 65535, count: 1 }]);
    refused(&last("f32"), "register \"a\" ends beyond address 65535");
}

#[test]
fn a_profile_can_only_read() {
    let text = TWO.replacen("address = 0", "function = 6\naddress = 0", 1);
    refused(&text, "register \"a\": function 6 must be 1 to 4; Davy only reads");
}

#[test]
fn a_bad_register_is_refused_with_one_clear_sentence() {
    let register = |more: &str| format!("[[register]]\nkey = \"a\"\naddress = 0\n{more}\n");
    refused(&register("type = \"bit\""), "register \"a\": type bit is for functions 1 and 2, and they have no other");
    refused(&register("type = \"u16\"\nfunction = 1"), "register \"a\": type bit is for functions 1 and 2, and they have no other");
    refused(&register("type = \"i16\"\nmask = 3"), "register \"a\": a mask needs type u16");
    refused(&register("type = \"u16\"\nmask = 0"), "register \"a\": a mask of 0 leaves nothing to read");
    refused(&format!("{TWO}{TWO}"), "register \"a\" is there twice");
    refused("most_registers = 1", "most_registers 1 must lie between 2 and 125");
    refused_at_a_line(&register("type = \"u17\""), "unknown variant `u17`");
}

#[test]
fn a_bad_value_is_refused_with_one_clear_sentence() {
    let value = |more: &str| {
        format!("{TWO}[[register]]\nkey = \"t\"\naddress = 2\ntype = \"text4\"\n[[value]]\nkey = \"v\"\nregister = \"a\"\n{more}\n")
    };
    refused(&value("decimals = \"z\""), "value \"v\" names the register \"z\", which is not there");
    refused(
        &value("combine = { register = \"t\", by = \"plus\" }"),
        "value \"v\" needs a number, and register \"t\" is text; text is only for unit_from and serial",
    );
    refused(&value("scale = 0.0"), "value \"v\" needs a scale that is finite and not 0, and a finite offset");
    refused(
        &value("unit = \"ppm\"\nunit_from = { register = \"b\", symbols = {} }"),
        "value \"v\" needs one of unit and unit_from, not both",
    );
    refused(
        &value("unit_from = { register = \"b\", symbols = { 1 = \"PPM\" } }"),
        "value \"v\": \"PPM\" is not a unit; write for example %LEL, %vol, ppm, mg/m3 or °C",
    );
    refused(
        &value("unit_from = { register = \"b\", symbols = { x = \"ppm\" } }"),
        "value \"v\": unit_from says \"x\" where register \"b\" holds a number",
    );
    refused(
        &value("[[value]]\nkey = \"v\"\nregister = \"b\""),
        "value \"v\" is there twice; only the last of several may be without `when`",
    );
    refused_at_a_line(&value("unit = \"percent\""), "\"percent\" is not a unit; write for example");
}

#[test]
fn a_bad_status_is_refused_with_one_clear_sentence() {
    let status = |more: &str| format!("{TWO}[[register]]\nkey = \"f\"\naddress = 2\ntype = \"f32\"\n[[status]]\n{more}\n");
    refused(
        &status("register = \"z\"\nbit = 1\nfault = \"WarmUp\""),
        "the status of register \"z\" names the register \"z\", which is not there",
    );
    refused(
        &status("register = \"a\"\nfault = \"WarmUp\""),
        "the status of register \"a\" needs one of equals, between, bit, clear and above, or it would never hold",
    );
    refused(
        &status("register = \"a\"\nbit = 16\nfault = \"WarmUp\""),
        "the status of register \"a\": bit 16 does not exist; register \"a\" has bits 0 to 15",
    );
    refused(
        &status("register = \"f\"\nbit = 1\nfault = \"WarmUp\""),
        "the status of register \"f\": a F32 register has no bits to test; read it as u16 or u32",
    );
    refused(
        &status("register = \"a\"\nbetween = [5, 4]\nfault = \"WarmUp\""),
        "the status of register \"a\": between needs its lower number first",
    );
    refused(
        &status("register = \"a\"\nbit = 1\nfault = \"WarmUp\"\nvalue = \"z\""),
        "the status of register \"a\" speaks of the value \"z\", which is not there",
    );
    refused_at_a_line(
        &status("register = \"a\"\nbit = 1\nfault = \"Broken\""),
        "the status of register \"a\" needs exactly one fault or doubt of Davy's list",
    );
    refused_at_a_line(&status("register = \"a\"\nbit = 1"), "needs exactly one fault or doubt");
}

#[test]
fn a_bad_identity_or_heartbeat_is_refused_with_one_clear_sentence() {
    refused(
        &format!("{TWO}[[identity]]\nregister = \"a\"\nequals = []"),
        "the identity register \"a\" needs at least one number in `equals`",
    );
    refused(&format!("{TWO}[heartbeat]\nregister = \"z\"\nstill_s = 9"), "the heartbeat names the register \"z\", which is not there");
    refused(&format!("{TWO}[heartbeat]\nregister = \"a\"\nstill_s = 0"), "the heartbeat's still_s must be at least 1");
}
