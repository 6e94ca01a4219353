//! The register table in `README.md` is the one that `register-map` writes.

use std::string::String;

#[test]
fn the_table_in_the_readme_is_the_generated_one() {
    let mut table = String::new();
    register_map::table::write_markdown(&mut table).unwrap();
    assert!(include_str!("../README.md").contains(&table), "put this into firmware/README.md:\n\n{table}");
}
