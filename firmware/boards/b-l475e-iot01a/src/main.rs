//! The node on ST's B-L475E-IOT01A: a gas module on LPUART1, Modbus RTU on USART2, sounder, beacon and fault lamp on pins.
//!
//! Pins, clocks, interrupts, watchdog and reset cause; what is measured, judged and answered is the `firmware` crate's. One
//! loop does every duty in turn, each ms; what the serial lines bring is taken by tasks at interrupt priority. The watchdog is
//! fed only when every duty has run.
#![no_std]
#![no_main]

mod lines;
mod memory;
mod outputs;
mod reset;

use core::cell::RefCell;
use core::panic::PanicInfo;

use cortex_m::singleton;
use cortex_m_rt::exception;
use embassy_executor::{InterruptExecutor, Spawner};
use embassy_stm32::flash::Flash;
use embassy_stm32::gpio::{Input, Pull};
use embassy_stm32::i2c::{self, I2c};
use embassy_stm32::interrupt::{InterruptExt, Priority};
use embassy_stm32::peripherals::{IWDG, LPUART1, PA1, PA2, PA3, PC0, PC1, USART2};
use embassy_stm32::rcc::{LsConfig, Sysclk};
use embassy_stm32::usart::{self, BufferedUart, BufferedUartRx};
use embassy_stm32::wdg::IndependentWatchdog;
use embassy_stm32::{Peri, bind_interrupts, interrupt, pac};
use embassy_time::{Duration, Instant, Ticker};
use firmware::modbus::{Framer, MAX_FRAME};
use firmware::shipped::{FOUR_GAS_CHANNELS, FOUR_GAS_MODULE};
use firmware::{Button, Duties, Duty, GasModule, InputKind, InputSettings, NodeSettings, SettingsStore, Station, Wish};
use lines::{Received, Sender};
use measurement::MonotonicMs;
use memory::{LogWords, Part, Shared};
use register_map::ResetCause;
use reset::die;
use sensors::sht4x::{self, Sht4x};

const CHANNELS: usize = FOUR_GAS_CHANNELS.len();
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
/// The health block's code for the chip's own oscillator.
const OWN_OSCILLATOR: u16 = 2;

/// The node with what this board keeps its settings and its events in.
type ThisStation<'a> = Station<CHANNELS, SettingsStore<Part<'a>>, LogWords>;

/// Modbus unit id, until a person gives it another.
const UNIT: u8 = 17;
/// Field bus and gas module alike.
const BAUD: u32 = 9600;
/// A hung duty is reset after this; the watchdog's own clock is 10 % off at worst (DS10969, table 51).
const WATCHDOG_MS: u16 = 1_000;

static FIELD_BUS: Received<128> = Received::new();
static GAS_MODULE: Received<32> = Received::new();
static LINES: InterruptExecutor = InterruptExecutor::new();

bind_interrupts!(struct Interrupts {
    USART2 => usart::BufferedInterruptHandler<USART2>;
    LPUART1 => usart::BufferedInterruptHandler<LPUART1>;
});

/// The interrupt of a UART that the node does not use: here it is the priority at which the lines' tasks run.
// SAFETY: called by the hardware alone, and the executor is started before the interrupt is enabled.
#[interrupt]
unsafe fn UART5() {
    // SAFETY: as above.
    unsafe { LINES.on_interrupt() }
}

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    let (reset_cause, boot_count) = reset::begin();
    let pins = embassy_stm32::init(clocks());
    let mut outputs = outputs::Pins::new(pins.PB0, pins.PB1, pins.PB2);
    let mut watchdog = watchdog(pins.IWDG);
    let contact = Input::new(pins.PC13, Pull::Up);
    // A broken wire reads as a dark beacon.
    let beacon_is_lit = Input::new(pins.PD14, Pull::Down);

    let flash = Shared::new(RefCell::new(Flash::new_blocking(pins.FLASH)));
    let mut events = memory::events(&flash);
    let (log, earlier) = memory::log(reset_cause, &mut events, || watchdog.pet());
    // Only flash knows the count when the power was gone. Where it cannot be counted there, the newest event says the least it can be.
    let at_least = boot_count.max(earlier.map_or(1, |earlier| earlier + 1));
    let boot_count = memory::boots(&flash).count(at_least).unwrap_or(at_least);
    bedrock::count_on(boot_count);
    let mut station = station(log, memory::settings(&flash));
    begin(&mut station, NodeSettings { serial: serial_number(), firmware: 0x0001, boot_count, reset_cause, unit: UNIT });
    let mut thermometer = Sht4x::new(I2c::new_blocking(pins.I2C1, pins.PB8, pins.PB9, bus_settings()), sht4x::ADDRESS);

    interrupt::UART5.set_priority(Priority::P6);
    let lines = LINES.start(interrupt::UART5);
    let (mut to_field_bus, received) = field_bus(pins.USART2, pins.PA3, pins.PA2, pins.PA1);
    lines.spawn(hear_field_bus(received).unwrap_or_else(|_| die(ResetCause::Unknown)));
    let (mut to_gas_module, received) = gas_module(pins.LPUART1, pins.PC0, pins.PC1);
    lines.spawn(hear_gas_module(received).unwrap_or_else(|_| die(ResetCause::Unknown)));

    let mut answer = [0; MAX_FRAME];
    let mut duties = Duties::new();
    let mut button = Button::new();
    let mut keep_events = false;
    let mut rounds = bedrock::Rounds::new(WATCHDOG_MS, OWN_OSCILLATOR);
    let mut every_ms = Ticker::every(Duration::from_millis(1));
    loop {
        let now_us = Instant::now().as_micros();
        // A byte came before now, or while this round is at work.
        let at = |stamp: u32| bedrock::whole_us(stamp, now_us);

        while let Some((byte, stamp)) = GAS_MODULE.take() {
            station.gas_byte(byte, at(stamp));
        }
        if let Some(question) = station.sample(now_us) {
            to_gas_module.put(question, now_us);
        }
        station.attend(THERMOMETER, &mut thermometer, now_us);
        duties.done(Duty::Sample);

        let now = MonotonicMs(now_us / 1000);
        match button.observe(contact.is_low(), now) {
            Some(Wish::Silence) => station.node_mut().silence(now),
            Some(Wish::Reset) => station.node_mut().reset_all(now),
            None => {}
        }
        outputs.show(station.outputs());
        station.beacon_feedback(beacon_is_lit.is_high(), now_us);
        duties.done(Duty::Annunciate);

        while let Some((byte, stamp)) = FIELD_BUS.take() {
            if let Some(length) = station.answer(at(stamp), &mut answer) {
                to_field_bus.put(&answer[..length], now_us);
            }
            station.line_byte(byte, at(stamp));
        }
        if let Some(length) = station.answer(now_us, &mut answer) {
            to_field_bus.put(&answer[..length], now_us);
        }
        // Where nothing leaves any more nothing is answered; only a new start mends it. A gas module that is not asked is a fault that
        // people are told of, and needs none.
        if to_field_bus.works(now_us) {
            duties.done(Duty::Answer);
        }

        if duties.take_all_done() {
            watchdog.pet();
            if let Some(facts) = rounds.fed(now_us) {
                station.set_board_facts(facts);
                keep_events = true;
            }
        }
        // Once a second, all that has happened, a record a round: what happened is in flash soon after it is in RAM, where a failure leaves
        // it until the next second. embassy-stm32 erases with interrupts masked for 22 ms, which would tear an answer under way.
        if keep_events && to_field_bus.is_idle() {
            keep_events = matches!(events.keep(station.node().events()), Ok(true));
        }
        every_ms.next().await;
    }
}

/// The node where it will stand: not inlined, so that the stack needed to move it there is given back.
#[inline(never)]
fn station<'a>(log: LogWords, settings: SettingsStore<Part<'a>>) -> ThisStation<'a> {
    Station::new(log, settings, Framer::new(BAUD))
}

/// With its settings and events as they were kept, and its sensors. Not inlined, as above.
#[inline(never)]
fn begin(station: &mut ThisStation<'_>, identity: NodeSettings) {
    station.begin(identity, &FOUR_GAS_CHANNELS);
    station.set_gas_module(GasModule::new(FOUR_GAS_MODULE, MonotonicMs(0)));
    station.set_inputs(&[THERMOMETER_SETTINGS]);
}

/// 16 MHz of the internal oscillator, which is within 1 % from 0 to 85 °C (DS10969, table 48): enough for a UART.
fn clocks() -> embassy_stm32::Config {
    let mut config = embassy_stm32::Config::default();
    config.rcc.hsi = true;
    config.rcc.msi = None;
    config.rcc.sys = Sysclk::HSI;
    // The watchdog's oscillator starts with the watchdog.
    config.rcc.ls = LsConfig::off();
    config
}

fn watchdog(peripheral: Peri<'static, IWDG>) -> IndependentWatchdog<'static, IWDG> {
    let mut watchdog = IndependentWatchdog::new(peripheral, u32::from(WATCHDOG_MS) * 1000);
    watchdog.unleash();
    watchdog
}

/// The chip's 96 unique bits (RM0351, 49.1), folded into the map's 64 by FNV-1a.
fn serial_number() -> u64 {
    embassy_stm32::uid::uid().iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3))
}

fn line_settings() -> usart::Config {
    let mut config = usart::Config::default();
    config.baudrate = BAUD;
    // Every byte wakes its task, for its time.
    config.eager_reads = Some(1);
    // One bit for the RS-485 driver to settle before the start bit.
    config.de_assertion_time = 16;
    config
}

/// A part that holds the bus costs no more than this, far within the 100 ms in which an alarm must be heard.
fn bus_settings() -> i2c::Config {
    let mut config = i2c::Config::default();
    config.timeout = Duration::from_millis(5);
    config
}

/// Both directions of the field bus. The buffer holds the longest answer, which is handed over when the one before it has left.
fn field_bus(
    uart: Peri<'static, USART2>,
    rx: Peri<'static, PA3>,
    tx: Peri<'static, PA2>,
    de: Peri<'static, PA1>,
) -> (Sender, BufferedUartRx<'static>) {
    let (Some(sending), Some(received)) = (singleton!(: [u8; MAX_FRAME] = [0; MAX_FRAME]), singleton!(: [u8; 32] = [0; 32])) else {
        die(ResetCause::Unknown)
    };
    both(BufferedUart::new_with_de(uart, rx, tx, de, Interrupts, sending, received, line_settings()))
}

/// Both directions of the gas module's line.
fn gas_module(uart: Peri<'static, LPUART1>, rx: Peri<'static, PC0>, tx: Peri<'static, PC1>) -> (Sender, BufferedUartRx<'static>) {
    let (Some(sending), Some(received)) = (singleton!(: [u8; 16] = [0; 16]), singleton!(: [u8; 32] = [0; 32])) else {
        die(ResetCause::Unknown)
    };
    both(BufferedUart::new(uart, rx, tx, sending, received, Interrupts, line_settings()))
}

fn both(uart: Result<BufferedUart<'static>, usart::ConfigError>) -> (Sender, BufferedUartRx<'static>) {
    let Ok(uart) = uart else { die(ResetCause::Unknown) };
    let (to, from) = uart.split();
    (lines::sender(to), from)
}

#[embassy_executor::task]
async fn hear_field_bus(uart: BufferedUartRx<'static>) {
    FIELD_BUS.hear(uart).await;
}

#[embassy_executor::task]
async fn hear_gas_module(uart: BufferedUartRx<'static>) {
    GAS_MODULE.hear(uart).await;
}

// SAFETY: it never returns to what it interrupted.
#[exception]
unsafe fn DefaultHandler(_: i16) -> ! {
    die(ResetCause::Unknown)
}

/// A power cut while flash was written leaves a double word whose ECC is wrong, and reading that comes here (RM0351, 3.3.2).
/// The reader goes on with what it got, and the store's own check refuses it. But only settings and events have such a check, and
/// they have the second bank to themselves: in the first one it is the program that cannot be read.
// SAFETY: it touches nothing but the flag.
#[exception]
unsafe fn NonMaskableInt() {
    let error = pac::FLASH.eccr().read();
    if !error.eccd() || !error.bk_ecc() || error.sysf_ecc() {
        die(ResetCause::Unknown)
    }
    pac::FLASH.eccr().modify(|eccr| eccr.set_eccd(true));
}

bedrock::on_an_empty_stack!(HardFault, faulted);

extern "C" fn faulted() -> ! {
    die(ResetCause::Panic)
}

/// Says nothing: formatting would cost more flash than the node. The cause stands in the registers.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    die(ResetCause::Panic)
}
