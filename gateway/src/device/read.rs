//! From words to a value: which registers must be asked for, and what their words say. Pure.

use std::ops::Range;

use measurement::{Fault, Outcome, Unit};

use super::{By, Condition, Kind, MOST_REGISTERS, Order, Profile, Register, SerialForm, Value, Verdict};
use crate::site::Workarounds;

/// Registers, coils or inputs read in one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block {
    /// Function code, 1 to 4.
    pub function: u8,
    /// First address.
    pub address: u16,
    /// How many.
    pub count: u16,
}

/// What was read, by function and address. A coil or an input is a word of 0 or 1.
#[derive(Debug, Clone, Default)]
pub struct Words {
    /// Function, first address, and where its words lie in `all`: few, because a device is asked few questions.
    spans: Vec<(u8, u16, Range<usize>)>,
    all: Vec<u16>,
}

impl Words {
    /// Adds a block's words.
    pub fn add(&mut self, block: Block, words: &[u16]) {
        let begin = self.all.len();
        self.all.extend(words.iter().take(usize::from(block.count)));
        self.spans.push((block.function, block.address, begin..self.all.len()));
    }

    /// Forgets everything but its room.
    pub fn clear(&mut self) {
        self.spans.clear();
        self.all.clear();
    }

    fn get(&self, function: u8, address: u16) -> Option<u16> {
        self.spans.iter().rev().filter(|span| span.0 == function).find_map(|(_, first, place)| {
            let words = self.all.get(place.clone())?;
            words.get(usize::from(address.wrapping_sub(*first))).copied()
        })
    }
}

/// What a device says of the unit of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatedUnit {
    /// Nothing: the site file's word stands.
    None,
    /// This one.
    Is(Unit),
    /// One that the profile does not know.
    Unknown,
}

impl Register {
    /// How many registers it takes.
    pub(super) fn words(&self) -> u16 {
        match self.kind {
            Kind::U32 | Kind::I32 | Kind::F32 | Kind::Text4 => 2,
            _ => 1,
        }
    }

    /// The raw number, or `None` when its words were not read or make no number.
    pub(super) fn number(&self, words: &Words) -> Option<f64> {
        let first = words.get(self.function, self.address)?;
        match self.kind {
            // Anything but 0 and 1 is no coil: some other function answered.
            Kind::Bit => return Some(f64::from(first)).filter(|_| first <= 1),
            Kind::I16 => return Some(f64::from(first as i16)),
            Kind::U8hi => return Some(f64::from(first >> 8)),
            Kind::U8lo => return Some(f64::from(first & 0xFF)),
            Kind::U16 => return Some(f64::from(self.mask.map_or(first, |mask| (first & mask) >> mask.trailing_zeros().min(15)))),
            Kind::U32 | Kind::I32 | Kind::F32 | Kind::Text4 => {}
        }
        let bytes = self.four_bytes(words)?;
        match self.kind {
            Kind::I32 => Some(f64::from(i32::from_be_bytes(bytes))),
            Kind::F32 => Some(f64::from(f32::from_be_bytes(bytes))).filter(|number| number.is_finite()),
            _ => Some(f64::from(u32::from_be_bytes(bytes))),
        }
    }

    fn four_bytes(&self, words: &Words) -> Option<[u8; 4]> {
        let [a, b] = words.get(self.function, self.address)?.to_be_bytes();
        let [c, d] = words.get(self.function, self.address.checked_add(1)?)?.to_be_bytes();
        Some(match self.order {
            Order::Abcd => [a, b, c, d],
            Order::Cdab => [c, d, a, b],
            Order::Badc => [b, a, d, c],
            Order::Dcba => [d, c, b, a],
        })
    }

    /// The printable ones of its four characters.
    fn characters(&self, words: &Words) -> Option<impl Iterator<Item = char> + use<>> {
        Some(self.four_bytes(words)?.into_iter().filter(u8::is_ascii_graphic).map(char::from))
    }

    /// How many bits its number has at most.
    pub(super) fn width(&self) -> u32 {
        match self.kind {
            Kind::U8hi | Kind::U8lo => 8,
            Kind::U32 | Kind::I32 | Kind::F32 | Kind::Text4 => 32,
            Kind::Bit => 1,
            Kind::U16 | Kind::I16 => 16,
        }
    }

    fn was_read(&self, words: &Words) -> bool {
        (0..self.words()).all(|place| self.address.checked_add(place).and_then(|address| words.get(self.function, address)).is_some())
    }
}

impl Condition {
    /// Whether it holds, or `None` when its registers were not read.
    fn holds(&self, profile: &Profile, words: &Words) -> Option<bool> {
        let number = profile.number(&self.register, words)?;
        let is_set = |bit: u8| number >= 0.0 && (number as u64).checked_shr(u32::from(bit)).unwrap_or(0) & 1 == 1;
        let above = match &self.above {
            Some(other) => number > profile.number(other, words)?,
            None => false,
        };
        Some(
            above
                || self.equals.contains(&number)
                || self.between.is_some_and(|(low, high)| (low..=high).contains(&number))
                || self.bit.is_some_and(is_set)
                || self.clear.is_some_and(|bit| !is_set(bit)),
        )
    }

    fn registers(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.register.as_str()).chain(self.above.as_deref())
    }
}

impl Value {
    /// Every register that its number and its unit need.
    fn registers(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.register.as_str())
            .chain(self.combine.iter().map(|combine| combine.register.as_str()))
            .chain(self.decimals.as_deref())
            .chain(self.unit_from.iter().map(|from| from.register.as_str()))
            .chain(self.when.iter().flat_map(Condition::registers))
    }
}

impl Profile {
    /// The requests that read these values and everything that says something of them. The serial number is read along
    /// where that costs no request more.
    pub fn blocks(&self, keys: &[&str], workarounds: &Workarounds) -> Vec<Block> {
        if self.is_davy_node {
            return node_blocks(keys, workarounds);
        }
        let is_wanted = |key: &str| keys.contains(&key);
        let of_values = self.values.iter().filter(|value| is_wanted(&value.key)).flat_map(Value::registers);
        let of_statuses = self
            .statuses
            .iter()
            .filter(|status| status.value.as_deref().is_none_or(is_wanted))
            .flat_map(|status| status.condition.registers().chain(status.when.iter().flat_map(Condition::registers)));
        let of_device = self.identities.iter().map(|identity| identity.register.as_str());
        let of_life = self.heartbeat.iter().map(|heartbeat| heartbeat.register.as_str());
        let mut wanted: Vec<&str> = of_values.chain(of_statuses).chain(of_device).chain(of_life).collect();
        let without = self.joined(&wanted, workarounds);
        wanted.extend(self.serial_keys());
        let with = self.joined(&wanted, workarounds);
        if with.len() <= without.len() { with } else { without }
    }

    /// The requests that read the serial number alone, for a device that was silent and may have been changed; none when
    /// the device has no serial number, or when it is read with every poll.
    pub fn serial_blocks(&self, keys: &[&str], workarounds: &Workarounds) -> Vec<Block> {
        let polled = self.blocks(keys, workarounds);
        let is_polled = |block: &Block| {
            let end = |block: &Block| u32::from(block.address) + u32::from(block.count);
            polled.iter().any(|other| other.function == block.function && other.address <= block.address && end(block) <= end(other))
        };
        let blocks = self.joined(&self.serial_keys().collect::<Vec<_>>(), workarounds);
        if blocks.iter().all(is_polled) { Vec::new() } else { blocks }
    }

    fn serial_keys(&self) -> impl Iterator<Item = &str> {
        self.serial.iter().flat_map(|serial| serial.registers.iter().map(String::as_str))
    }

    /// The fewest requests for these registers that the profile and the line's workarounds allow.
    fn joined(&self, keys: &[&str], workarounds: &Workarounds) -> Vec<Block> {
        let mut spans: Vec<(u8, u32, u32)> = keys
            .iter()
            .filter_map(|key| self.register(key))
            .map(|register| {
                let first = u32::from(register.address);
                (register.function, first, first + u32::from(register.words()))
            })
            .collect();
        spans.sort_unstable();
        spans.dedup();
        let (hole, most) = (u32::from(self.largest_hole), u32::from(self.most_registers.min(workarounds.max_registers_per_request)));
        let may_join = !workarounds.one_request_per_field;
        let mut joined: Vec<(u8, u32, u32)> = Vec::new();
        for (function, start, end) in spans {
            match joined.last_mut() {
                // A register inside the last request needs nothing more, however long that request is.
                Some(last) if last.0 == function && start >= last.1 && end <= last.2 => {}
                // A number of two registers is never read in two requests: it could be torn.
                Some(last) if may_join && last.0 == function && start <= last.2 + hole && end - last.1 <= most => last.2 = end,
                _ => joined.push((function, start, end)),
            }
        }
        joined.into_iter().map(|(function, start, end)| Block { function, address: start as u16, count: (end - start) as u16 }).collect()
    }

    /// The device's serial number as people write it; `None` when it has none, was not read, or shows nothing but zeros or
    /// ones. A change of it means that another device answers.
    pub fn serial(&self, words: &Words) -> Option<String> {
        if self.is_davy_node {
            let identity: Option<Vec<u16>> =
                (0..register_map::IDENTITY_WORDS as u16).map(|place| words.get(3, register_map::IDENTITY + place)).collect();
            return register_map::Identity::decode(&identity?).ok().map(|identity| format!("{:016X}", identity.serial));
        }
        let serial = self.serial.as_ref()?;
        let registers = || serial.registers.iter().map(|key| self.register(key));
        if serial.form == SerialForm::Text {
            let mut text = String::new();
            for register in registers() {
                text.extend(register?.characters(words)?);
            }
            return Some(text).filter(|text| !text.is_empty());
        }
        let (mut number, mut width) = (0_u64, 0);
        for register in registers() {
            let register = register?;
            number = number << register.width() | register.number(words)? as u64;
            width += register.width();
        }
        let is_blank = number == 0 || number == u64::MAX >> 64_u32.saturating_sub(width);
        let digits = width.div_ceil(4) as usize;
        let written = if serial.form == SerialForm::Hex { format!("{number:0digits$X}") } else { number.to_string() };
        Some(written).filter(|_| !is_blank)
    }

    /// What the words say of a value, in the device's own unit. Words that were not read make no value.
    pub fn read(&self, key: &str, words: &Words) -> Outcome {
        if !self.recognises(words) {
            return Outcome::Bad(if self.identity_was_read(words) { Fault::WrongDevice } else { Fault::Corrupt });
        }
        let mut doubt = None;
        for status in self.statuses.iter().filter(|status| status.value.as_deref().is_none_or(|about| about == key)) {
            let applies = match &status.when {
                Some(when) => when.holds(self, words),
                None => Some(true),
            };
            match (applies, status.condition.holds(self, words)) {
                (None, _) | (_, None) => return Outcome::Bad(Fault::Corrupt),
                (Some(true), Some(true)) => match status.verdict {
                    Verdict::Fault(fault) => return Outcome::Bad(fault),
                    Verdict::Doubt(says) => doubt = doubt.or(Some(says)),
                },
                _ => {}
            }
        }
        let number = match self.value(key, words).and_then(|value| self.number_of(value, words)) {
            Ok(number) => number,
            Err(fault) => return Outcome::Bad(fault),
        };
        match (Outcome::measured(number as f32), doubt) {
            (Outcome::Good(value), Some(doubt)) => Outcome::Uncertain(value, doubt),
            (outcome, _) => outcome,
        }
    }

    /// What the words say of the unit of a value.
    pub fn stated_unit(&self, key: &str, words: &Words) -> StatedUnit {
        let Ok(value) = self.value(key, words) else { return StatedUnit::None };
        let Some(from) = &value.unit_from else { return value.unit.map_or(StatedUnit::None, StatedUnit::Is) };
        let Some(register) = self.register(&from.register) else { return StatedUnit::Unknown };
        let symbol = from.symbols.iter().find(|(said, _)| register.says(said, words)).map(|(_, symbol)| symbol.as_str());
        match symbol {
            Some("") => StatedUnit::None,
            Some(symbol) => Unit::from_symbol(symbol).map_or(StatedUnit::Unknown, StatedUnit::Is),
            None => StatedUnit::Unknown,
        }
    }

    /// True when every identity register holds what it must.
    pub fn recognises(&self, words: &Words) -> bool {
        self.identities
            .iter()
            .all(|identity| self.number(&identity.register, words).is_some_and(|number| identity.equals.contains(&number)))
    }

    /// What the heartbeat register shows; `None` when the device has none or it was not read.
    pub fn beat(&self, words: &Words) -> Option<f64> {
        self.number(&self.heartbeat.as_ref()?.register, words)
    }

    fn identity_was_read(&self, words: &Words) -> bool {
        self.identities.iter().filter_map(|identity| self.register(&identity.register)).all(|register| register.was_read(words))
    }

    fn number(&self, key: &str, words: &Words) -> Option<f64> {
        self.register(key)?.number(words)
    }

    /// The value of this key whose condition holds.
    fn value(&self, key: &str, words: &Words) -> Result<&Value, Fault> {
        for value in self.values.iter().filter(|value| value.key == key) {
            match value.when.as_ref().map(|when| when.holds(self, words)) {
                None | Some(Some(true)) => return Ok(value),
                Some(None) => return Err(Fault::Corrupt),
                Some(Some(false)) => {}
            }
        }
        Err(Fault::Configuration)
    }

    fn number_of(&self, value: &Value, words: &Words) -> Result<f64, Fault> {
        let raw = self.number(&value.register, words).ok_or(Fault::NotANumber)?;
        if value.no_value.contains(&raw) {
            return Err(Fault::NotANumber);
        }
        let raw = match &value.combine {
            None => raw,
            Some(combine) => {
                let other = self.number(&combine.register, words).ok_or(Fault::NotANumber)? * combine.scale;
                match combine.by {
                    By::Plus => raw + other,
                    By::Minus => raw - other,
                    By::Times => raw * other,
                    By::Over => raw / other,
                }
            }
        };
        let places = match &value.decimals {
            None => 0.0,
            // A point that was not read, or lies nowhere, would make a number that is wrong by powers of ten.
            Some(key) => self.number(key, words).filter(|places| (0.0..=9.0).contains(places)).ok_or(Fault::Corrupt)?,
        };
        Ok((raw * value.scale + value.offset) / 10_f64.powi(places as i32))
    }
}

impl Register {
    fn says(&self, what: &str, words: &Words) -> bool {
        if self.kind == Kind::Text4 {
            let Some(characters) = self.characters(words) else { return false };
            return characters.collect::<String>().eq_ignore_ascii_case(what);
        }
        number_written(what).is_some_and(|wanted| self.number(words) == Some(f64::from(wanted)))
    }
}

/// A number as people write it in a profile: `12` or `0x000C`.
pub(super) fn number_written(text: &str) -> Option<u32> {
    text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok())
}

/// Seven channel blocks fit one request. A block is never split: its check word covers all of it.
fn node_blocks(keys: &[&str], workarounds: &Workarounds) -> Vec<Block> {
    let most = if workarounds.one_request_per_field { 0 } else { MOST_REGISTERS.min(workarounds.max_registers_per_request) };
    let mut channels: Vec<u16> = keys.iter().filter_map(|key| key.parse().ok()).collect();
    channels.sort_unstable();
    channels.dedup();
    let mut blocks = vec![Block { function: 3, address: register_map::IDENTITY, count: register_map::IDENTITY_WORDS as u16 }];
    let words = register_map::CHANNEL_WORDS as u16;
    for channel in channels {
        let address = register_map::channel_address(channel);
        match blocks.last_mut() {
            Some(last) if last.address != register_map::IDENTITY && address == last.address + last.count && last.count + words <= most => {
                last.count += words;
            }
            _ => blocks.push(Block { function: 3, address, count: words }),
        }
    }
    blocks
}
