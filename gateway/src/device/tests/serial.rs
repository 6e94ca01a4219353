//! Serial numbers, addresses as a manual prints them, and how workarounds cut requests.
use super::*;

const REGISTERS: &str = "[[register]]\nkey = \"high\"\naddress = 4\ntype = \"u16\"\n[[register]]\nkey = \"low\"\naddress = 5\ntype = \"u16\"\n\
                         [[register]]\nkey = \"a\"\naddress = 0\ntype = \"u16\"\n[[register]]\nkey = \"f\"\naddress = 1\ntype = \"f32\"\n\
                         [[register]]\nkey = \"t\"\naddress = 8\ntype = \"text4\"\n[[register]]\nkey = \"u\"\naddress = 10\ntype = \"text4\"\n\
                         [[value]]\nkey = \"v\"\nregister = \"a\"\n[[value]]\nkey = \"w\"\nregister = \"f\"\n";

fn serial(tables: &str, address: u16, words: &[u16]) -> Option<String> {
    profile(&format!("{REGISTERS}{tables}")).serial(&holding(address, words))
}

fn block(address: u16, count: u16) -> Block {
    Block { function: 3, address, count }
}

#[test]
fn a_serial_number_is_a_number_in_decimal_or_hex_or_a_text() {
    let of = |form: &str| format!("[serial]\nregisters = [\"high\", \"low\"]\n{form}\n");
    assert_eq!(serial(&of(""), 4, &[0x0002, 0xA7F8]).as_deref(), Some("174072"));
    assert_eq!(serial(&of("as = \"hex\""), 4, &[0x0002, 0xA7F8]).as_deref(), Some("0002A7F8"));
    let text = "[serial]\nregisters = [\"t\", \"u\"]\nas = \"text\"\n";
    assert_eq!(serial(text, 8, &[0x4142, 0x4331, 0x3233, 0x0000]).as_deref(), Some("ABC123"));
}

#[test]
fn a_blank_or_unread_serial_number_is_none() {
    let number = "[serial]\nregisters = [\"high\", \"low\"]\n";
    assert_eq!(serial(number, 4, &[0, 0]), None);
    assert_eq!(serial(number, 4, &[0xFFFF, 0xFFFF]), None);
    assert_eq!(serial(number, 4, &[1]), None);
    assert_eq!(serial("", 4, &[1, 2]), None);
    assert_eq!(serial("[serial]\nregisters = [\"t\"]\nas = \"text\"\n", 8, &[0, 0]), None);
}

#[test]
fn our_own_node_tells_its_serial_number_in_its_identity() {
    let node = Profile::davy_node();
    assert_eq!(node.serial(&holding(register_map::IDENTITY, &[0; register_map::IDENTITY_WORDS])), None);
    let default = Workarounds::default();
    assert_eq!(node.serial_blocks(&["0"], &default), []);
    assert_eq!(node.blocks(&["0"], &default)[0].address, register_map::IDENTITY);
}

#[test]
fn a_serial_number_is_read_along_only_where_that_costs_no_request() {
    let default = Workarounds::default();
    let tables = format!("{REGISTERS}[serial]\nregisters = [\"high\", \"low\"]\n");
    let near = profile(&format!("largest_hole = 3\n{tables}"));
    assert_eq!(near.blocks(&["v"], &default), [block(0, 6)]);
    assert_eq!(near.serial_blocks(&["v"], &default), []);
    let far = profile(&tables);
    assert_eq!(far.blocks(&["v"], &default), [block(0, 1)]);
    assert_eq!(far.serial_blocks(&["v"], &default), [block(4, 2)]);
}

#[test]
fn a_bad_serial_number_is_refused_with_one_clear_sentence() {
    let said = |tables: &str| parse(&format!("{REGISTERS}{tables}")).unwrap_err();
    assert!(said("[serial]\nregisters = [\"z\"]\n").contains("the serial number names the register \"z\", which is not there"));
    assert!(said("[serial]\nregisters = []\n").contains("the serial number needs at least one register"));
    assert!(said("[serial]\nregisters = [\"t\"]\n").contains("\"t\" is Text4"));
    assert!(said("[serial]\nregisters = [\"f\"]\n").contains("\"f\" is F32"));
    let long = "[serial]\nregisters = [\"high\", \"low\", \"high\", \"low\", \"high\"]\n";
    assert!(said(long).contains("a serial number of 80 bits is too long"));
}

#[test]
fn a_wrong_serial_number_in_a_vector_is_explained() {
    let vector = |serial: &str| {
        let tables = "[serial]\nregisters = [\"high\", \"low\"]\n[[vector]]\nname = \"label\"\nwords = { \"4\" = [0, 7] }\nexpect = {}\n";
        profile(&format!("{REGISTERS}{tables}serial = \"{serial}\"\n")).test()
    };
    assert_eq!(vector("7"), Vec::<String>::new());
    assert_eq!(vector("8"), ["label: the serial number is \"7\" where \"8\" is expected"]);
}

#[test]
fn addresses_may_be_as_the_manual_prints_them() {
    let tables = "[[register]]\nkey = \"a\"\naddress = 101\ntype = \"u16\"\n[[value]]\nkey = \"v\"\nregister = \"a\"\n\
                  [[vector]]\nname = \"five\"\nwords = { \"101\" = [5] }\nexpect = { v = 5 }\n";
    let printed = profile(&format!("address_base = 1\n{tables}"));
    assert_eq!(printed.test(), Vec::<String>::new());
    assert_eq!(printed.blocks(&["v"], &Workarounds::default()), [block(100, 1)]);
    assert_eq!(profile(tables).blocks(&["v"], &Workarounds::default()), [block(101, 1)]);
}

#[test]
fn an_address_before_the_first_and_another_base_are_refused() {
    let register = |base: u8, address: u16| {
        parse(&format!("address_base = {base}\n[[register]]\nkey = \"a\"\naddress = {address}\ntype = \"u16\"\n")).unwrap_err()
    };
    assert_eq!(register(1, 0), "profile x.toml: register \"a\": address 0 lies before the first, 1");
    assert!(register(2, 5).contains("address_base 2 must be 0 or 1"));
}

#[test]
fn one_request_per_field_joins_nothing_and_fewer_registers_a_request_never_tear_a_number() {
    let profile = profile(&format!("largest_hole = 3\n{REGISTERS}"));
    let apart = Workarounds { one_request_per_field: true, ..Workarounds::default() };
    assert_eq!(profile.blocks(&["v", "w"], &apart), [block(0, 1), block(1, 2)]);
    let few = Workarounds { max_registers_per_request: 1, ..Workarounds::default() };
    assert_eq!(profile.blocks(&["v", "w"], &few), [block(0, 1), block(1, 2)]);
    assert_eq!(profile.blocks(&["v", "w"], &Workarounds::default()), [block(0, 3)]);
    let node = Profile::davy_node();
    let of_node =
        |most: u16| node.blocks(&["0", "1", "2"], &Workarounds { max_registers_per_request: most, ..Workarounds::default() }).len();
    assert_eq!((of_node(125), of_node(40), of_node(16)), (2, 3, 4));
}
