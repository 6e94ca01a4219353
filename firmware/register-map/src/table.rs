//! The register table for people: `firmware/README.md` is generated from it, not typed.

use crate::{
    CHANNEL_SETTINGS, CHANNEL_SETTINGS_WORDS, CHANNEL_WORDS, DESK, DESK_WORDS, EVENT_RECORDS, EVENT_WORDS, EVENTS, EVENTS_WORDS,
    FIRST_CHANNEL, HEALTH, HEALTH_WORDS, IDENTITY, IDENTITY_WORDS, SETTINGS, SETTINGS_WORDS,
};

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

/// The health block, at [`HEALTH`].
pub const HEALTH_LINES: &[Line] = &[
    (0, 1, "bit 0 beacon failed, 1 settings lost, 2 event log began anew, 3 settings are not kept without power"),
    (1, 1, "watchdog, ms; 65535 unknown, as in the next four"),
    (2, 1, "longest time between two feedings of it, ms"),
    (3, 1, "stack never used, bytes"),
    (4, 1, "stack, bytes"),
    (5, 1, "clock: 1 crystal, 2 the chip's own, 3 emulated"),
    (6, 2, "requests answered, u32"),
    (8, 2, "frames with a wrong CRC, u32"),
    (10, 5, "reserved, 0"),
    (15, 1, "check word"),
];

/// The settings of the node, at [`SETTINGS`].
pub const SETTINGS_LINES: &[Line] =
    &[(0, 1, "W: unit id, 1 to 247"), (1, 1, "number of channels; the device's own"), (2, 5, "reserved, 0"), (7, 1, "check word")];

/// The desk where settings are changed, at [`DESK`].
pub const DESK_LINES: &[Line] = &[
    (0, 2, "W: write-enable key, u32, written alone; reads 0"),
    (2, 1, "version in force; W with the next: commit, the version that is replaced"),
    (3, 2, "CRC-32 of the staged content (of what is in force while shut); W with the one before: commit, the CRC expected"),
    (5, 1, "s until the desk shuts; 0 shut"),
    (
        6,
        1,
        "last refusal: 1 shut, 2 key, 3 version, 4 CRC, 5 unit id, 6 another device's, 7 meaningless word, 8 outside the range, 9 within clean air's \
         noise, 10 inconsistent, 11 delay, 12 no level left, 13 calibration beyond use, 14 calibration without record, 15 flash failed",
    ),
    (7, 1, "its channel; 65535 none"),
    (8, 7, "reserved, 0"),
    (15, 1, "check word"),
];

/// A channel's settings, at [`CHANNEL_SETTINGS`] and every [`CHANNEL_SETTINGS_WORDS`] registers after it.
pub const CHANNEL_SETTINGS_LINES: &[Line] = &[
    (0, 1, "quantity; the device's own"),
    (1, 1, "unit code in the high byte, the device's own; W: bit 0 latching"),
    (2, 2, "lower end of the range, f32; the device's own"),
    (4, 2, "upper end of the range, f32; the device's own"),
    (6, 1, "W: first level: bit 0 present, bit 1 danger below; absent: this and the next four are 0"),
    (7, 2, "W: its setpoint, f32"),
    (9, 2, "W: its release, f32"),
    (11, 2, "W: its on-delay, ms, u32, at most 60000"),
    (13, 2, "W: its off-delay, ms, u32, at most 3600000"),
    (15, 1, "W: second level, as the first"),
    (16, 2, "W: its setpoint, f32"),
    (18, 2, "W: its release, f32"),
    (20, 2, "W: its on-delay, ms, u32"),
    (22, 2, "W: its off-delay, ms, u32"),
    (24, 2, "W: zero, f32, subtracted first"),
    (26, 2, "W: span, f32, multiplied next"),
    (28, 2, "W: change of the zero per kelvin from 20 °C, f32"),
    (30, 2, "W: date of the calibration as a decimal number, 20261124, u32; 0 none"),
    (32, 8, "W: test gas, ASCII, padded with 0"),
    (40, 8, "W: lot of its bottle, likewise"),
    (48, 8, "W: who did it, likewise"),
    (56, 7, "reserved, 0"),
    (63, 1, "check word"),
];

/// The head of the event window, at [`EVENTS`].
pub const EVENTS_LINES: &[Line] = &[
    (0, 2, "oldest sequence held, u32; one more than the newest when none is"),
    (2, 2, "newest sequence, u32; 0 none"),
    (4, 1, "records that fit"),
    (5, 1, "registers of a record"),
    (6, 1, "reserved, 0"),
    (7, 1, "check word"),
];

/// A record of the event window: sequence `s` stands at [`EVENT_RECORDS`] + (s mod fit) × [`EVENT_WORDS`].
pub const EVENT_LINES: &[Line] = &[
    (0, 2, "sequence, u32; 0 with kind 0: nothing here"),
    (
        2,
        1,
        "kind in the high byte: 1 started, 2 first level raised, 3 returned, 4 second level raised, 5 returned, 6 latched, 7 reset, 8 silenced, 9 \
         trouble began, 10 ended, 11 warmed up, 12 settings changed, 13 calibrated, 14 settings lost, 15 wrong key, 16 beacon failed, 17 beacon \
         works, 18 log lost; channel in the low byte, 255 none",
    ),
    (3, 1, "low half of the boot count"),
    (4, 2, "uptime of the first one, s, u32"),
    (6, 2, "detail: value as f32 (2 to 5), reset cause (1), quality (9, 10), hash (12), date (13)"),
    (8, 1, "how often in the high byte, minutes from first to last in the low byte; for 12 the version"),
    (9, 1, "check word"),
];

/// Writes the table as Markdown.
pub fn write_markdown(out: &mut impl core::fmt::Write) -> core::fmt::Result {
    write_block(out, "Identity block", IDENTITY, IDENTITY_LINES)?;
    writeln!(out)?;
    write_block(out, "Channel block (channel 0; each further one 16 registers on)", FIRST_CHANNEL, CHANNEL_LINES)?;
    for (title, base, lines) in [
        ("Health block", HEALTH, HEALTH_LINES),
        ("Settings of the node (W: written with function 16 while the desk is open)", SETTINGS, SETTINGS_LINES),
        ("Desk", DESK, DESK_LINES),
        ("Settings of a channel (channel 0; each further one 64 registers on)", CHANNEL_SETTINGS, CHANNEL_SETTINGS_LINES),
        ("Event window, head", EVENTS, EVENTS_LINES),
        ("Event window, record (sequences divisible by the number that fit; each further one 10 registers on)", EVENT_RECORDS, EVENT_LINES),
    ] {
        writeln!(out)?;
        write_block(out, title, base, lines)?;
    }
    Ok(())
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
    assert!(total(HEALTH_LINES) == HEALTH_WORDS as u16);
    assert!(total(SETTINGS_LINES) == SETTINGS_WORDS as u16);
    assert!(total(DESK_LINES) == DESK_WORDS as u16);
    assert!(total(CHANNEL_SETTINGS_LINES) == CHANNEL_SETTINGS_WORDS as u16);
    assert!(total(EVENTS_LINES) == EVENTS_WORDS as u16);
    assert!(total(EVENT_LINES) == EVENT_WORDS as u16);
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
