//! A gas module that none of the node's code plays: answers 0x86 with what the air holds.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::Chance;

/// What the module does.
#[derive(Clone, Copy)]
pub struct Air {
    /// CO ppm, H2S ppm, O2 in tenths of %vol, CH4 %LEL.
    pub gases: [u16; 4],
    /// False: unplugged.
    pub plugged: bool,
    /// Chance that a byte in either direction is changed, thousandths.
    pub garbled: u64,
}

/// The module's handle. It ends with its socket.
#[derive(Clone)]
pub struct Module(Arc<Mutex<Air>>);

const READ: [u8; 9] = [0xFF, 0x01, 0x86, 0, 0, 0, 0, 0, 0x79];

impl Module {
    /// Plugs a module in.
    pub fn plug(mut line: UnixStream, gases: [u16; 4], seed: u64) -> Module {
        let module = Module(Arc::new(Mutex::new(Air { gases, plugged: true, garbled: 0 })));
        let air = module.clone();
        line.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
        std::thread::spawn(move || {
            let mut chance = Chance::new(seed);
            let mut heard: Vec<u8> = Vec::new();
            let mut chunk = [0; 64];
            loop {
                match line.read(&mut chunk) {
                    Ok(0) => return,
                    Ok(count) => {
                        let air = *air.0.lock().expect("the air");
                        chance.garble(&mut chunk[..count], air.garbled);
                        heard.extend(&chunk[..count]);
                    }
                    // Silence ends whatever had begun.
                    Err(_) => heard.clear(),
                }
                while heard.len() >= READ.len() {
                    if heard[..READ.len()] != READ {
                        heard.remove(0);
                        continue;
                    }
                    heard.drain(..READ.len());
                    let air = *air.0.lock().expect("the air");
                    let mut frame = vec![0xFF, 0x86];
                    frame.extend(air.gases.iter().flat_map(|gas| gas.to_be_bytes()));
                    frame.push(frame[1..].iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte)));
                    chance.garble(&mut frame, air.garbled);
                    if air.plugged && line.write_all(&frame).is_err() {
                        return;
                    }
                }
            }
        });
        module
    }

    /// Changes what it does.
    pub fn set(&self, change: impl FnOnce(&mut Air)) {
        change(&mut self.0.lock().expect("the air"));
    }
}
