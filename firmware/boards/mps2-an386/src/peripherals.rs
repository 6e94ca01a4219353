//! The registers of the MPS2's AN386 that the node uses. Every `unsafe` of the board but the handlers' is in this file.
//!
//! Sources: Arm DAI0385D/DAI0386 (memory map, FPGA system control and I/O, SBCon I2C), Arm DDI0479D (APB UART 4.3, APB watchdog
//! 4.5).

/// 25 MHz clock every one of these counts.
const CLOCK_HZ: u32 = 25_000_000;

fn read(address: u32) -> u32 {
    // SAFETY: called only with the register addresses of this file, which are mapped, aligned and of 32 bits.
    unsafe { (address as *const u32).read_volatile() }
}

fn write(address: u32, word: u32) {
    // SAFETY: as for `read`; none of these registers changes memory that Rust knows of.
    unsafe { (address as *mut u32).write_volatile(word) }
}

/// An APB UART: 8N1, one byte each way.
#[derive(Clone, Copy)]
pub struct Uart(u32);

impl Uart {
    /// UART 0, the field bus: interrupts 0 (received) and 1 (sent).
    pub const FIELD_BUS: Uart = Uart(0x4000_4000);
    /// UART 1, the gas module: interrupts 2 and 3.
    pub const GAS_MODULE: Uart = Uart(0x4000_5000);
    /// UART 2, the hook of test builds: interrupts 4 and 5.
    #[cfg(feature = "test-hook")]
    pub const HOOK: Uart = Uart(0x4000_6000);

    const DATA: u32 = 0x0;
    const STATE: u32 = 0x4;
    const CTRL: u32 = 0x8;
    const INTSTATUS: u32 = 0xC;
    const BAUDDIV: u32 = 0x10;

    /// Switches both directions and their interrupts on.
    pub fn start(self, baud: u32) {
        write(self.0 + Uart::BAUDDIV, CLOCK_HZ / baud);
        write(self.0 + Uart::CTRL, 0b1111);
    }

    /// The byte that came, if one did.
    pub fn receive(self) -> Option<u8> {
        (read(self.0 + Uart::STATE) & 0b10 != 0).then(|| read(self.0 + Uart::DATA) as u8)
    }

    /// Sends a byte, or says that the one before it is still under way.
    pub fn send(self, byte: u8) -> bool {
        let free = read(self.0 + Uart::STATE) & 0b01 == 0;
        if free {
            write(self.0 + Uart::DATA, u32::from(byte));
        }
        free
    }

    /// Clears the interrupts that have been seen to.
    pub fn clear_interrupts(self) {
        write(self.0 + Uart::INTSTATUS, 0b1111);
    }
}

/// The FPGA's counter of µs. It wraps after 71 minutes; whoever reads it more often than that can count on.
pub struct Microseconds;

impl Microseconds {
    const COUNTER: u32 = 0x4002_8018;
    const PRESCALE: u32 = 0x4002_801C;

    /// Starts counting.
    pub fn start() {
        write(Microseconds::PRESCALE, CLOCK_HZ / 1_000_000 - 1);
        write(Microseconds::COUNTER, 0);
    }

    /// What it shows.
    pub fn now() -> u32 {
        read(Microseconds::COUNTER)
    }
}

/// The lamps that stand for the outputs: USERLED0 sounder, USERLED1 beacon, MCC LED 0 fault.
pub fn show(sounder: bool, beacon: bool, fault: bool) {
    write(0x4002_8000, u32::from(sounder) | u32::from(beacon) << 1);
    write(0x4002_F004, u32::from(fault));
}

/// The lamp's register read back: on this board it stands for the contact that a true beacon has.
pub fn beacon_is_lit() -> bool {
    read(0x4002_8000) & 0b10 != 0
}

/// The two wires of an SBCon, open drain: each is high unless somebody pulls it low.
pub struct TwoWire(u32);

impl TwoWire {
    /// The I2C of shield 1.
    pub const SHIELD_1: TwoWire = TwoWire(0x4002_A000);

    /// Reads both lines; what is written is set.
    const CONTROLS: u32 = 0x0;
    /// What is written is cleared.
    const CONTROLC: u32 = 0x4;
    const SCL: u32 = 0b01;
    const SDA: u32 = 0b10;

    fn set(&self, line: u32, high: bool) {
        write(self.0 + if high { TwoWire::CONTROLS } else { TwoWire::CONTROLC }, line);
    }

    /// Lets the clock go high, or pulls it low.
    pub fn set_scl(&self, high: bool) {
        self.set(TwoWire::SCL, high);
    }

    /// Lets the data line go high, or pulls it low.
    pub fn set_sda(&self, high: bool) {
        self.set(TwoWire::SDA, high);
    }

    /// Nobody pulls the clock.
    pub fn is_scl_high(&self) -> bool {
        read(self.0 + TwoWire::CONTROLS) & TwoWire::SCL != 0
    }

    /// Nobody pulls the data line.
    pub fn is_sda_high(&self) -> bool {
        read(self.0 + TwoWire::CONTROLS) & TwoWire::SDA != 0
    }
}

/// The APB watchdog: unfed it raises the NMI, and as long again unfed it resets.
pub struct Watchdog;

impl Watchdog {
    const LOAD: u32 = 0x4000_8000;
    const CONTROL: u32 = 0x4000_8008;
    const INTCLR: u32 = 0x4000_800C;
    const LOCK: u32 = 0x4000_8C00;
    const KEY: u32 = 0x1ACC_E551;

    /// From the last feeding to the NMI.
    pub const BITES_AFTER_MS: u16 = 500;

    /// Starts it. Afterwards nothing but [`Watchdog::feed`] gets past its lock.
    pub fn start() {
        write(Watchdog::LOCK, Watchdog::KEY);
        write(Watchdog::LOAD, CLOCK_HZ / 1000 * u32::from(Watchdog::BITES_AFTER_MS));
        write(Watchdog::CONTROL, 0b11);
        write(Watchdog::LOCK, 0);
    }

    /// Every duty has run.
    pub fn feed() {
        write(Watchdog::LOCK, Watchdog::KEY);
        write(Watchdog::INTCLR, 1);
        write(Watchdog::LOCK, 0);
    }
}

/// As a function does that goes too deep: pushes a word below the lowest of the stack.
#[cfg(feature = "test-hook")]
pub fn overflow_the_stack() -> ! {
    // SAFETY: it never goes on.
    unsafe {
        core::arch::asm!(
            "movw r0, #:lower16:_stack_end",
            "movt r0, #:upper16:_stack_end",
            "mov sp, r0",
            "push {{r0}}",
            "udf #0",
            options(noreturn)
        )
    }
}

/// Lets the interrupts of the UARTs through.
pub fn enable_interrupts() {
    // NVIC_ISER0: 0 and 1 field bus, 2 and 3 gas module, 4 and 5 hook.
    write(0xE000_E100, if cfg!(feature = "test-hook") { 0b11_1111 } else { 0b1111 });
}
