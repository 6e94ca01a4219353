//! The node on Arm's MPS2 with AN386: a gas module on UART 1, Modbus RTU on UART 0, sounder and beacon on lamps.
//!
//! Pins, clocks, interrupts, watchdog and reset cause; what is measured, judged and answered is the `firmware` crate's. One
//! loop does every duty in turn and sleeps until an interrupt; SysTick wakes it every 5 ms. The watchdog is fed only when
//! every duty has run.
//!
//! QEMU delivers bytes without regard to the baud rate, so this board answers a whole request at once and uses silence only
//! to clear broken ones; the 3.5 characters are the framer's and are tested there.
#![no_std]
#![no_main]

mod i2c;
mod lines;
mod peripherals;
mod reset;
mod thermometer;

use core::panic::PanicInfo;

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::{entry, exception};
use firmware::event_log::LOG_WORDS;
use firmware::modbus::{Framer, MAX_FRAME};
use firmware::ram_flash::RamFlash;
use firmware::shipped::{FOUR_GAS_CHANNELS, FOUR_GAS_MODULE};
use firmware::{Duties, Duty, GasModule, InputKind, InputSettings, NodeSettings, SettingsStore, Station};
use measurement::MonotonicMs;
use peripherals::{Microseconds, TwoWire, Uart, Watchdog};
use register_map::ResetCause;
use reset::die;
use thermometer::Thermometer;

const CHANNELS: usize = FOUR_GAS_CHANNELS.len();
/// Bytes of the settings' two copies.
const SETTINGS_BYTES: usize = SettingsStore::in_ram(RamFlash::found([0; 0]), CHANNELS).bytes() as usize;
/// Place of the thermometer among the station's inputs.
const THERMOMETER: usize = 0;
const THERMOMETER_SETTINGS: InputSettings = InputSettings {
    kind: InputKind::AirTemperature,
    channels: [None; 3],
    every_ms: 1_000,
    warm_up_ms: 0,
    silent_after_ms: 5_000,
    converter: None,
};
/// The health block's code for a clock that is an emulator's.
const EMULATED_CLOCK: u16 = 3;

/// The node with what this board keeps its settings and its events in.
type ThisStation = Station<CHANNELS, ThisStore, &'static mut [u32; LOG_WORDS]>;
type ThisStore = SettingsStore<RamFlash<&'static mut [u8; SETTINGS_BYTES]>>;

/// Modbus unit id, until a person gives it another.
const UNIT: u8 = 17;
/// Field bus and gas module alike.
const BAUD: u32 = 9600;
/// After this much silence a broken request is forgotten.
const SILENCE_US: u32 = 50_000;
/// Core clock cycles between two wakings: 5 ms at 25 MHz.
const WAKE_CYCLES: u32 = 125_000;

#[entry]
fn main() -> ! {
    let (reset_cause, boot_count) = reset::begin();
    Microseconds::start();
    let identity = NodeSettings { serial: 0x0386_0000_0001, firmware: 0x0001, boot_count, reset_cause, unit: UNIT };
    let mut station = station(reset_cause);
    begin(&mut station, identity);
    let mut thermometer = Thermometer::new(i2c::Bus::new(TwoWire::SHIELD_1));

    wake_every(WAKE_CYCLES);
    Uart::FIELD_BUS.start(BAUD);
    Uart::GAS_MODULE.start(BAUD);
    #[cfg(feature = "test-hook")]
    Uart::HOOK.start(BAUD);
    peripherals::enable_interrupts();
    Watchdog::start();

    let mut to_field_bus = lines::Sending::new(Uart::FIELD_BUS);
    let mut to_gas_module = lines::Sending::new(Uart::GAS_MODULE);
    let mut answer = [0; MAX_FRAME];
    let mut duties = Duties::new();
    let mut rounds = bedrock::Rounds::new(Watchdog::BITES_AFTER_MS, EMULATED_CLOCK);
    let mut clock = Clock::default();
    #[cfg(feature = "test-hook")]
    let mut hook = hook::Hook::default();
    loop {
        #[cfg(feature = "test-hook")]
        hook.obey();
        let now_us = clock.now();

        #[cfg(feature = "test-hook")]
        let samples = !hook.sampling_hangs;
        #[cfg(not(feature = "test-hook"))]
        let samples = true;
        if samples {
            while let Some((byte, at)) = lines::GAS_MODULE.take() {
                station.gas_byte(byte, clock.extend(at));
            }
            if let Some(question) = station.sample(now_us) {
                to_gas_module.put(question);
            }
            station.attend(THERMOMETER, &mut thermometer, now_us);
            duties.done(Duty::Sample);
        }

        let outputs = station.outputs();
        peripherals::show(outputs.sounder, outputs.beacon, outputs.fault);
        #[cfg(feature = "test-hook")]
        let is_lit = peripherals::beacon_is_lit() && !hook.beacon_is_broken;
        #[cfg(not(feature = "test-hook"))]
        let is_lit = peripherals::beacon_is_lit();
        station.beacon_feedback(is_lit, now_us);
        duties.done(Duty::Annunciate);

        while let Some((byte, at)) = lines::FIELD_BUS.take() {
            station.line_byte(byte, clock.extend(at));
            if let Some(length) = station.answer_at_once(clock.extend(at), &mut answer) {
                to_field_bus.put(&answer[..length]);
            }
        }
        if let Some(length) = station.answer_at_once(clock.now(), &mut answer) {
            to_field_bus.put(&answer[..length]);
        }
        duties.done(Duty::Answer);

        if duties.take_all_done() {
            Watchdog::feed();
            if let Some(facts) = rounds.fed(now_us) {
                station.set_board_facts(facts);
            }
        }
        // With interrupts masked none can slip in between looking and sleeping; a pending one still ends the sleep. A UART that has sent
        // its byte says so once: were it to say so between the pump and the sleep, the next byte would wait for SysTick.
        cortex_m::interrupt::free(|section| {
            to_field_bus.pump();
            to_gas_module.pump();
            if lines::FIELD_BUS.is_empty(section) && lines::GAS_MODULE.is_empty(section) {
                cortex_m::asm::wfi();
            }
        });
    }
}

/// The node where it will stand: not inlined, so that the stack needed to move it there is given back.
#[inline(never)]
fn station(reset_cause: ResetCause) -> ThisStation {
    let (Some(log), Some(memory)) = (bedrock::kept!([u32; LOG_WORDS]), bedrock::kept!([u8; SETTINGS_BYTES])) else {
        die(ResetCause::Unknown)
    };
    // After power came on they hold noise; after any other reset what the last life kept, which checks itself.
    let flash = if reset_cause == ResetCause::PowerOn {
        log.fill(0);
        RamFlash::blank(memory)
    } else {
        RamFlash::found(memory)
    };
    Station::new(log, SettingsStore::in_ram(flash, CHANNELS), Framer::with_silence(SILENCE_US))
}

/// With its settings and events as they were kept, and its sensors. Not inlined, as above.
#[inline(never)]
fn begin(station: &mut ThisStation, identity: NodeSettings) {
    station.begin(identity, &FOUR_GAS_CHANNELS);
    station.set_gas_module(GasModule::new(FOUR_GAS_MODULE, MonotonicMs(0)));
    station.set_inputs(&[THERMOMETER_SETTINGS]);
}

/// Counts the µs since the start, beyond the counter's 32 bits.
#[derive(Default)]
struct Clock {
    us: u64,
}

impl Clock {
    fn now(&mut self) -> u64 {
        self.us = self.extend(Microseconds::now());
        self.us
    }

    /// The whole time of a counter reading; a byte may have come before `now`.
    fn extend(&self, counter: u32) -> u64 {
        bedrock::whole_us(counter, self.us)
    }
}

fn wake_every(cycles: u32) {
    let Some(mut peripherals) = cortex_m::Peripherals::take() else { return };
    peripherals.SYST.set_clock_source(SystClkSource::Core);
    peripherals.SYST.set_reload(cycles - 1);
    peripherals.SYST.clear_current();
    peripherals.SYST.enable_counter();
    peripherals.SYST.enable_interrupt();
}

#[exception]
fn SysTick() {}

/// Every interrupt of the chip arrives here, by its number.
// SAFETY: it uses nothing that the code it interrupts could hold, other than what `Received` guards.
#[exception]
unsafe fn DefaultHandler(interrupt: i16) {
    match interrupt {
        0 | 1 => lines::FIELD_BUS.fill(Uart::FIELD_BUS),
        2 | 3 => lines::GAS_MODULE.fill(Uart::GAS_MODULE),
        #[cfg(feature = "test-hook")]
        4 | 5 => lines::HOOK.fill(Uart::HOOK),
        _ => die(ResetCause::Unknown),
    }
}

bedrock::on_an_empty_stack!(NonMaskableInt, bitten);
bedrock::on_an_empty_stack!(HardFault, faulted);

/// The watchdog was not fed in time; after as long again it resets. A person at the node sees and hears that nobody judges
/// the air any more.
extern "C" fn bitten() -> ! {
    peripherals::show(true, true, true);
    bedrock::bequeath(ResetCause::Watchdog);
    loop {
        cortex_m::asm::nop();
    }
}

extern "C" fn faulted() -> ! {
    die(ResetCause::Panic)
}

/// Says nothing: formatting would cost more flash than the node. The cause stands in the registers.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    die(ResetCause::Panic)
}

/// What the tests make go wrong. Not in a release.
#[cfg(feature = "test-hook")]
mod hook {
    /// Named so that `firmware/build` can look for it in an image.
    #[used]
    #[unsafe(no_mangle)]
    static DAVY_TEST_HOOK: u8 = 1;

    #[derive(Default)]
    pub struct Hook {
        pub sampling_hangs: bool,
        pub beacon_is_broken: bool,
    }

    impl Hook {
        /// `s`: the sampling duty stops while the others go on; `h`: the loop hangs; `p`: it panics; `b`: the beacon stays dark,
        /// `l`: it is lit again; `o`: the stack grows beyond its end.
        #[expect(clippy::panic, reason = "it is what the test asks for")]
        pub fn obey(&mut self) {
            match crate::lines::HOOK.take() {
                Some((b's', _)) => self.sampling_hangs = true,
                Some((b'b', _)) => self.beacon_is_broken = true,
                Some((b'l', _)) => self.beacon_is_broken = false,
                Some((b'h', _)) => loop {
                    cortex_m::asm::nop();
                },
                Some((b'p', _)) => panic!(),
                Some((b'o', _)) => crate::peripherals::overflow_the_stack(),
                _ => {}
            }
        }
    }
}
