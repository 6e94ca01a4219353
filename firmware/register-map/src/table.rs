//! The register table for people: `firmware/README.md` is generated from it, not typed.

use crate::{CHANNEL_WORDS, FIRST_CHANNEL, IDENTITY, IDENTITY_WORDS};

/// One line of the table: offset within its block, registers, what they mean.
pub type Line = (u16, u16, &'static str);

/// The identity block, at [`IDENTITY`].
pub const IDENTITY_LINES: &[Line] = &[
    (0, 1, "magic, 0xDA57"),
    (1, 1, "map version, 1"),
    (2, 4, "serial number, u64"),
    (6, 1, "firmware version, major in the high byte"),
    (7, 2, "boot count, u32"),
    (9, 2, "uptime, s, u32"),
    (11, 1, "reset cause: 1 power-on, 2 brown-out, 3 watchdog, 4 panic, 5 software, 6 pin"),
    (12, 1, "number of channels"),
    (13, 1, "settings version"),
    (14, 2, "settings hash, CRC-32"),
    (16, 1, "reserved, 0"),
    (17, 1, "check word"),
];

/// A channel block, at [`FIRST_CHANNEL`] and every [`CHANNEL_WORDS`] registers after it.
pub const CHANNEL_LINES: &[Line] = &[
    (0, 1, "sequence, wrapping"),
    (1, 2, "value, f32; NaN when there is none"),
    (3, 1, "unit code in the high byte, quality in the low byte"),
    (4, 1, "quantity"),
    (5, 1, "the sensor's own fault number"),
    (6, 2, "sample age, ms, u32"),
    (8, 2, "lower end of the range, f32"),
    (10, 2, "upper end of the range, f32"),
    (12, 1, "local alarm in the high byte (bit 0 low, 1 high, 2 latched), low byte of the boot count"),
    (13, 2, "reserved, 0"),
    (15, 1, "check word"),
];

/// Writes the table as Markdown.
pub fn write_markdown(out: &mut impl core::fmt::Write) -> core::fmt::Result {
    write_block(out, "Identity block", IDENTITY, IDENTITY_LINES)?;
    writeln!(out)?;
    write_block(out, "Channel block (channel 0; each further one 16 registers on)", FIRST_CHANNEL, CHANNEL_LINES)
}

fn write_block(out: &mut impl core::fmt::Write, title: &str, base: u16, lines: &[Line]) -> core::fmt::Result {
    writeln!(out, "**{title}**\n\n| Register | Length | Meaning |\n|---|---|---|")?;
    for (offset, length, meaning) in lines {
        writeln!(out, "| {} | {length} | {meaning} |", base + offset)?;
    }
    Ok(())
}

const _: () = {
    assert!(total(IDENTITY_LINES) == IDENTITY_WORDS as u16);
    assert!(total(CHANNEL_LINES) == CHANNEL_WORDS as u16);
};

const fn total(lines: &[Line]) -> u16 {
    let (mut i, mut sum) = (0, 0);
    while i < lines.len() {
        assert!(lines[i].0 == sum, "a line of the register table is out of place");
        sum += lines[i].1;
        i += 1;
    }
    sum
}
