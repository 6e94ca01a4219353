//! Boots a node image in QEMU: its field bus, gas module and test hook are sockets, its lamps are read over QMP.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]
#![allow(clippy::disallowed_methods, reason = "a test program keeps deadlines")]

pub mod bus;
pub mod desk;
pub mod module;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A running board. Dropping it ends it.
pub struct Board {
    qemu: Ends,
    monitor: BufReader<UnixStream>,
}

/// What the lamps show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lamps {
    pub sounder: bool,
    pub beacon: bool,
    pub fault: bool,
}

impl Board {
    /// Boots the release image, whose path is in `DAVY_NODE_IMAGE`. Missing is a failure, not a skip.
    pub fn boot() -> Board {
        Board::boot_image(&image("DAVY_NODE_IMAGE"), "socket")
    }

    /// Boots the image with the test hook, whose path is in `DAVY_NODE_IMAGE_HOOK`.
    pub fn boot_with_hook() -> Board {
        Board::boot_image(&image("DAVY_NODE_IMAGE_HOOK"), "socket")
    }

    /// Boots the release image with its field bus on a pseudo-terminal, whose path is given too.
    pub fn boot_on_pty() -> (Board, String) {
        Board::boot_image(&image("DAVY_NODE_IMAGE"), "pty").with_pty()
    }

    /// As [`Board::boot_on_pty`], with the image that has the test hook.
    pub fn boot_with_hook_on_pty() -> (Board, String) {
        Board::boot_image(&image("DAVY_NODE_IMAGE_HOOK"), "pty").with_pty()
    }

    fn with_pty(mut self) -> (Board, String) {
        let devices = self.command(r#"{"execute":"query-chardev"}"#);
        let pty = devices.split("pty:").nth(1).and_then(|rest| rest.split('"').next()).expect("a pty among the chardevs").to_owned();
        (self, pty)
    }

    fn boot_image(image: &Path, bus: &str) -> Board {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("davy-node-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for the sockets");
        let socket = |name: &str| format!("socket,id={name},path={},server=on,wait=off", folder.join(name).display());
        let bus = if bus == "pty" { "pty,id=bus".to_owned() } else { socket("bus") };
        let qemu = Command::new("qemu-system-arm")
            .args(["-M", "mps2-an386", "-display", "none", "-monitor", "none", "-no-user-config", "-kernel"])
            .arg(image)
            .args(["-chardev", &bus, "-serial", "chardev:bus"])
            .args(["-chardev", &socket("gas"), "-serial", "chardev:gas"])
            .args(["-chardev", &socket("hook"), "-serial", "chardev:hook"])
            // On the first I2C bus, which is that of shield 1.
            .args(["-device", "tmp105,address=0x48,id=thermometer"])
            .args(["-qmp", &format!("unix:{},server=on,wait=off", folder.join("qmp").display())])
            // Nothing runs before the air has a temperature.
            .arg("-S")
            .stdout(Stdio::null())
            .spawn()
            .expect("qemu-system-arm starts (Debian package qemu-system-arm)");
        // Whatever fails from here on ends it.
        let qemu = Ends { program: qemu, folder };
        let monitor = connect(&qemu.folder.join("qmp"));
        monitor.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        let mut board = Board { qemu, monitor: BufReader::new(monitor) };
        board.line();
        board.command(r#"{"execute":"qmp_capabilities"}"#);
        board.set_celsius(20.0);
        board.command(r#"{"execute":"cont"}"#);
        board
    }

    /// Warms or cools the air at the thermometer.
    pub fn set_celsius(&mut self, celsius: f32) {
        let milli = (celsius * 1000.0) as i32;
        let reply = self.command(&format!(
            r#"{{"execute":"qom-set","arguments":{{"path":"/machine/peripheral/thermometer","property":"temperature","value":{milli}}}}}"#
        ));
        assert!(reply.starts_with("{\"return\""), "{reply}");
    }

    /// A connection to one of the board's serial lines: `bus`, `gas` or `hook`.
    pub fn serial(&self, name: &str) -> UnixStream {
        connect(&self.qemu.folder.join(name))
    }

    /// What the lamps show now.
    pub fn lamps(&mut self) -> Lamps {
        let (leds, fault) = (self.word(0x4002_8000), self.word(0x4002_F004));
        Lamps { sounder: leds & 1 != 0, beacon: leds & 2 != 0, fault: fault & 1 != 0 }
    }

    /// Waits until the lamps show this.
    pub fn wait_for_lamps(&mut self, lamps: Lamps, within: Duration) -> Duration {
        let begun = Instant::now();
        loop {
            let shown = self.lamps();
            if shown == lamps {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < within, "lamps {shown:?} where {lamps:?} was waited for");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The reset button.
    pub fn reset(&mut self) {
        self.command(r#"{"execute":"system_reset"}"#);
    }

    fn word(&mut self, address: u32) -> u32 {
        let reply =
            self.command(&format!(r#"{{"execute":"human-monitor-command","arguments":{{"command-line":"xp /1wx {address:#x}"}}}}"#));
        let hex = reply.rsplit("0x").next().and_then(|rest| rest.get(..8)).expect("a word of memory");
        u32::from_str_radix(hex, 16).expect("a word in hexadecimal")
    }

    fn command(&mut self, command: &str) -> String {
        writeln!(self.monitor.get_mut(), "{command}").expect("QMP takes a command");
        loop {
            let line = self.line();
            if line.starts_with("{\"return\"") || line.starts_with("{\"error\"") {
                return line;
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.monitor.read_line(&mut line).expect("QMP answers");
        line
    }
}

/// A program that ends with whoever holds it, and the folder of its sockets with it.
struct Ends {
    program: Child,
    folder: PathBuf,
}

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The image that an environment variable names.
pub fn image(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set: run firmware/build --test"));
    PathBuf::from(path)
}

fn connect(path: &Path) -> UnixStream {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < deadline, "{}: {error}", path.display()),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Small numbers that look random and can be replayed.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(2).wrapping_add(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Changes each byte with this chance, in thousandths.
    pub fn garble(&mut self, bytes: &mut [u8], thousandths: u64) {
        for byte in bytes {
            if self.draw() % 1000 < thousandths {
                *byte ^= (self.draw() % 255) as u8 + 1;
            }
        }
    }
}
