//! Serial ports that come and go, and another implementation of the protocol at the far end.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::pty::OpenptFlags;

use super::*;

/// A pseudo-terminal: the far end, and the path of the near one.
fn pty() -> Option<(OwnedFd, String)> {
    let far = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).ok()?;
    rustix::pty::grantpt(&far).ok()?;
    rustix::pty::unlockpt(&far).ok()?;
    let near = rustix::pty::ptsname(&far, Vec::new()).ok()?.into_string().ok()?;
    Some((far, near))
}

/// Answers so many questions with this register.
fn serve(far: OwnedFd, register: u8, questions: usize) -> std::thread::JoinHandle<std::fs::File> {
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        let mut line = std::fs::File::from(far);
        let mut question = [0; 8];
        for _ in 0..questions {
            if line.read_exact(&mut question).is_err() {
                break;
            }
            let mut frame = vec![question[0], 3, 4, 0, register, 0, register];
            frame.extend(crc16(&frame).to_le_bytes());
            let _ = line.write_all(&frame);
        }
        line
    })
}

fn serial(path: &str) -> Road {
    Road::Serial { path: path.to_owned(), baud: 115_200, parity: tokio_serial::Parity::None, stop_bits: tokio_serial::StopBits::One }
}

async fn comes_back(path: &str, plug: impl Fn(&str)) {
    let timeout = Duration::from_secs(2);
    let mut link = Link::along(&serial(path), timeout, &Workarounds::default(), &Dtus::default());
    for register in 1..=4_u8 {
        let Some((far, near)) = pty() else {
            println!("SKIPPED: this machine has no pseudo-terminals");
            return;
        };
        plug(&near);
        let device = serve(far, register, 3);
        // The first read may still find the adapter that is gone.
        let mut found = link.read(1, BLOCK).await;
        while found != Ok(vec![u16::from(register); 2]) {
            assert!(matches!(found, Err(Failure::NoLine(_) | Failure::Wrong(_))), "{found:?}");
            found = link.read(1, BLOCK).await;
        }
        for _ in 0..2 {
            assert_eq!(link.read(1, BLOCK).await, Ok(vec![u16::from(register); 2]));
        }
        // Pulled out.
        drop(device.join().unwrap());
    }
    assert_eq!(link.counters().snapshot().reconnects, 3);
}

#[tokio::test]
async fn a_serial_adapter_that_comes_back_under_another_name_is_found_by_its_link() {
    let folder = tempfile::tempdir().unwrap();
    let by_id = folder.path().join("usb-FTDI-0001");
    comes_back(by_id.to_str().unwrap(), |near| {
        let _ = std::fs::remove_file(&by_id);
        std::os::unix::fs::symlink(near, &by_id).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_serial_adapter_that_comes_back_under_another_name_is_found_by_a_pattern() {
    let folder = tempfile::tempdir().unwrap();
    let pattern = format!("{}/usb-*", folder.path().display());
    comes_back(&pattern, |near| {
        for old in std::fs::read_dir(folder.path()).unwrap() {
            std::fs::remove_file(old.unwrap().path()).unwrap();
        }
        let name = format!("usb-{}", Path::new(near).file_name().unwrap().to_str().unwrap());
        std::os::unix::fs::symlink(near, folder.path().join(name)).unwrap();
    })
    .await;
}

/// tokio-modbus was written by others: what it says and what we understand must be the same.
#[tokio::test]
async fn a_server_of_another_make_is_understood_over_tcp_and_rtu() {
    use tokio_modbus::prelude::*;

    struct Device;
    impl tokio_modbus::server::Service for Device {
        type Request = SlaveRequest<'static>;
        type Response = Response;
        type Exception = ExceptionCode;
        type Future = std::future::Ready<Result<Response, ExceptionCode>>;
        fn call(&self, request: Self::Request) -> Self::Future {
            std::future::ready(match request.request {
                Request::ReadHoldingRegisters(address, count) => Ok(Response::ReadHoldingRegisters((address..address + count).collect())),
                Request::ReadInputRegisters(address, count) => Ok(Response::ReadInputRegisters((address..address + count).rev().collect())),
                Request::ReadCoils(address, count) => Ok(Response::ReadCoils((address..address + count).map(|bit| bit % 3 == 0).collect())),
                _ => Err(ExceptionCode::IllegalFunction),
            })
        }
    }

    async fn check(link: &mut Link) {
        let block = |function, address, count| Block { function, address, count };
        for count in [1, 2, 64, 125] {
            let up: Vec<u16> = (7..7 + count).collect();
            let down: Vec<u16> = up.iter().copied().rev().collect();
            let bits: Vec<u16> = up.iter().map(|bit| u16::from(bit % 3 == 0)).collect();
            assert_eq!(link.read(3, block(3, 7, count)).await, Ok(up));
            assert_eq!(link.read(3, block(4, 7, count)).await, Ok(down));
            assert_eq!(link.read(3, block(1, 7, count)).await, Ok(bits));
            assert_eq!(link.read(3, block(2, 7, count)).await, Err(Failure::Refused(1)));
        }
    }

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let server = tokio_modbus::server::tcp::Server::new(listener);
        let connected = |stream, _| async move { Ok(Some((Device, stream))) };
        let _ = server.serve(&connected, |_| {}).await;
    });
    check(&mut Link::along(&Road::Tcp(address), Duration::from_secs(5), &Workarounds::default(), &Dtus::default())).await;

    let Ok((far, near)) = tokio_serial::SerialStream::pair() else {
        println!("SKIPPED: this machine has no pseudo-terminals");
        return;
    };
    tokio::spawn(async move {
        let _ = tokio_modbus::server::rtu::Server::new(far).serve_forever(Device).await;
    });
    let mut near = Some(near);
    let opener: Opener = Box::new(move || {
        let stream = near.take();
        Box::pin(async move { stream.map(|stream| Box::new(stream) as Box<dyn Stream>).ok_or_else(|| io::Error::other("closed")) })
    });
    check(&mut Link::over(opener, true, Duration::from_secs(5), Duration::from_millis(2))).await;
}
