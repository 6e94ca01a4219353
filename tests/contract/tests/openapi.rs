//! The HTTP API v1, pinned. If this fails, either the code is wrong, or the API has grown on purpose: then run
//! `DAVY_BLESS=1 cargo test -p contract --test openapi` and read the difference before committing it. Fields are
//! only ever added.
#![allow(clippy::expect_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

use std::path::Path;

#[test]
fn the_openapi_document_is_the_checked_in_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi.json");
    let now = serde_json::to_value(collector::api::openapi()).expect("the document is JSON");
    // Through a Value, so that the order of fields does not depend on the crate's.
    let text = format!("{}\n", serde_json::to_string_pretty(&now).expect("the document is JSON"));
    if std::env::var_os("DAVY_BLESS").is_some() {
        std::fs::write(&path, &text).expect("the document can be written");
    }
    let pinned = std::fs::read_to_string(&path).expect("tests/contract/tests/openapi.json is there; DAVY_BLESS=1 writes it");
    if text != pinned {
        let differs = text.lines().zip(pinned.lines()).enumerate().find(|(_, (new, old))| new != old);
        let (line, (new, old)) = differs.map_or((0, ("(one document is longer)", "")), |(at, pair)| (at + 1, pair));
        panic!(
            "the API differs from tests/contract/tests/openapi.json, line {line}:\n  now:    {new}\n  pinned: {old}\nIf that is meant, run DAVY_BLESS=1 cargo test -p contract --test openapi"
        );
    }
}
