#![allow(clippy::unwrap_used, reason = "a test may stop here")]
use super::*;

#[test]
fn a_path_that_ends_in_a_star_means_every_port_that_begins_so_in_order() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["usb-b", "usb-a", "acm-a"] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    let pattern = format!("{}/usb-*", folder.path().display());
    assert_eq!(ports(&pattern), [folder.path().join("usb-a"), folder.path().join("usb-b")]);
    assert_eq!(ports("/dev/ttyUSB0"), [PathBuf::from("/dev/ttyUSB0")]);
    assert_eq!(ports("/dev/there-is-no-such-folder/x*"), Vec::<PathBuf>::new());
}
