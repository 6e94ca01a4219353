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

fn settings() -> SerialPortBuilder {
    tokio_serial::new("", 115_200)
}

/// The far end of a line, and the path of the near one.
fn line() -> Option<(SerialStream, String)> {
    let Ok((far, near)) = SerialStream::pair() else {
        println!("SKIPPED: this machine has no pseudo-terminals");
        return None;
    };
    Some((far, tokio_serial::SerialPort::name(&near).unwrap()))
}

#[tokio::test]
async fn a_port_that_was_let_go_is_closed_before_it_is_opened_again() {
    let Some((_far, path)) = line() else { return };
    for _ in 0..100 {
        drop(open(path.clone(), settings()).await.unwrap());
    }
    let held = open(path.clone(), settings()).await.unwrap();
    assert!(first(&path, &settings()).is_err(), "a port is had exclusively");
    drop(held);
    assert!(open(path, settings()).await.is_ok());
}

#[tokio::test]
async fn an_opening_that_takes_longer_than_it_is_waited_for_is_found_by_the_next_try() {
    let Some((_far, path)) = line() else { return };
    let (opening, adapter_takes_its_time) = (Opening::new(path.clone(), settings()), seat(&path).lock_owned().await);
    for _ in 0..3 {
        assert!(tokio::time::timeout(std::time::Duration::from_millis(1), opening.port()).await.is_err());
    }
    drop(adapter_takes_its_time);
    // It goes on although nobody waits.
    while !opening.under_way.lock().await.as_ref().is_some_and(JoinHandle::is_finished) {
        tokio::task::yield_now().await;
    }
    assert!(tokio::time::timeout(std::time::Duration::ZERO, opening.port()).await.unwrap().is_ok());
    assert!(opening.under_way.lock().await.is_none());
}

#[test]
fn a_port_that_the_unit_keeps_from_the_service_is_told_with_what_to_add() {
    let told = |words: &str| explained(Path::new("/dev/ttymxc2"), tokio_serial::Error::new(tokio_serial::ErrorKind::Unknown, words));
    let error = told("Operation not permitted");
    assert!(error.to_string().contains("/dev/ttymxc2") && error.to_string().contains("DeviceAllow="), "{error}");
    assert_eq!(told("Device gone").to_string(), "Device gone");
}
