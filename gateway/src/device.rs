//! What a maker's registers mean: a profile is data (`gateway/profiles/*.toml`), never code. Our own node is
//! the one exception: its map is a contract of this repository.
//!
//! A profile names registers, the values people may take from them, and the rules by which status registers
//! turn a value into a doubt or a fault. Vectors in the same file are its tests.

use std::collections::BTreeMap;
use std::path::Path;

use measurement::{Doubt, Fault, Outcome};
use serde::Deserialize;

const SHIPPED: &[(&str, &str)] = &[
    ("honeywell-xnx", include_str!("../profiles/honeywell-xnx.toml")),
    ("msa-ultima-x3", include_str!("../profiles/msa-ultima-x3.toml")),
    ("oldham-olct-700", include_str!("../profiles/oldham-olct-700.toml")),
    ("cn-multigas-10reg", include_str!("../profiles/cn-multigas-10reg.toml")),
];

/// Most registers of one request (Modbus application protocol 6.3).
pub const MOST_REGISTERS: u16 = 125;

/// What a device's registers mean.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its name in site files.
    pub id: String,
    /// Who makes it.
    pub maker: String,
    /// Which device.
    pub model: String,
    /// Where the map was read.
    pub source: String,
    /// How sure we are of it.
    pub confidence: String,
    /// Registers between two wanted ones that may be read along.
    #[serde(default)]
    pub largest_hole: u16,
    /// The registers.
    #[serde(default, rename = "register")]
    pub registers: Vec<Register>,
    /// The values that a site may take.
    #[serde(default, rename = "value")]
    pub values: Vec<Value>,
    /// What status registers say of the values. The first that holds decides; faults stand before doubts.
    #[serde(default, rename = "status")]
    pub statuses: Vec<Status>,
    /// Its tests.
    #[serde(default, rename = "vector")]
    pub vectors: Vec<Vector>,
    /// Our own node's map instead of the tables above.
    #[serde(default, skip)]
    pub is_davy_node: bool,
}

/// One register, or the few that make one number.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// Its name in this profile.
    pub key: String,
    /// Function code: 3 holding, 4 input registers.
    #[serde(default = "three")]
    pub function: u8,
    /// Address on the wire, counted from 0.
    pub address: u16,
    /// How the bits make a number.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Order of the bytes of a 32-bit number.
    #[serde(default)]
    pub order: Order,
    /// The bits of a one-register number that count; the result is shifted down to bit 0.
    pub mask: Option<u16>,
}

fn three() -> u8 {
    3
}

/// How bits make a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    U16,
    I16,
    U32,
    I32,
    F32,
    /// The high byte.
    U8hi,
    /// The low byte.
    U8lo,
}

/// Order of the bytes of a 32-bit number, A the most significant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Order {
    #[default]
    #[serde(rename = "ABCD")]
    Abcd,
    #[serde(rename = "CDAB")]
    Cdab,
    #[serde(rename = "BADC")]
    Badc,
    #[serde(rename = "DCBA")]
    Dcba,
}

/// A value that a site may take.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Value {
    /// Its name in site files.
    pub key: String,
    /// The register it comes from.
    pub register: String,
    /// Number = raw × scale + offset.
    #[serde(default = "unity")]
    pub scale: f64,
    /// See `scale`.
    #[serde(default)]
    pub offset: f64,
    /// A register that holds the number of decimal places; the number is divided by 10 to its power.
    pub decimals: Option<String>,
    /// Raw numbers that mean "no value".
    #[serde(default)]
    pub no_value: Vec<f64>,
}

fn unity() -> f64 {
    1.0
}

/// When a register says something of the values.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// The register.
    pub register: String,
    /// Holds when the number is one of these.
    #[serde(default)]
    pub equals: Vec<f64>,
    /// Holds when the number lies between these, both included.
    pub between: Option<(f64, f64)>,
    /// Holds when this bit is set.
    pub bit: Option<u8>,
    /// Holds when the number exceeds that of this other register.
    pub above: Option<String>,
    /// Only for this value; for all when left out.
    pub value: Option<String>,
    /// Then the reading is bad.
    pub fault: Option<String>,
    /// Then the reading is doubtful.
    pub doubt: Option<String>,
}

/// A register image and what must be read from it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vector {
    /// A sentence.
    pub name: String,
    /// Words by address, as `"0x0002" = [0x4248, 0x0000]`.
    pub words: BTreeMap<String, Vec<u16>>,
    /// Value by key: a number, the name of a fault, or `"12.5 DeviceWarning"`.
    pub expect: BTreeMap<String, toml::Value>,
}

/// Registers read in one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block {
    /// Function code.
    pub function: u8,
    /// First address.
    pub address: u16,
    /// How many.
    pub count: u16,
}

/// What was read, by function and address.
#[derive(Debug, Clone, Default)]
pub struct Words(BTreeMap<(u8, u16), u16>);

impl Words {
    /// Adds a block's words.
    pub fn add(&mut self, block: Block, words: &[u16]) {
        for (place, word) in words.iter().enumerate().take(usize::from(block.count)) {
            self.0.insert((block.function, block.address.wrapping_add(place as u16)), *word);
        }
    }

    fn get(&self, function: u8, address: u16) -> Option<u16> {
        self.0.get(&(function, address)).copied()
    }
}

impl Register {
    fn words(&self) -> u16 {
        match self.kind {
            Kind::U32 | Kind::I32 | Kind::F32 => 2,
            _ => 1,
        }
    }

    /// The raw number, or `None` when its words were not read or make no number.
    fn number(&self, words: &Words) -> Option<f64> {
        let first = words.get(self.function, self.address)?;
        if self.words() == 1 {
            let first = self.mask.map_or(first, |mask| (first & mask) >> mask.trailing_zeros().min(15));
            return Some(match self.kind {
                Kind::I16 => f64::from(first as i16),
                Kind::U8hi => f64::from(first >> 8),
                Kind::U8lo => f64::from(first & 0xFF),
                _ => f64::from(first),
            });
        }
        let second = words.get(self.function, self.address.checked_add(1)?)?;
        let [a, b] = first.to_be_bytes();
        let [c, d] = second.to_be_bytes();
        let bytes = match self.order {
            Order::Abcd => [a, b, c, d],
            Order::Cdab => [c, d, a, b],
            Order::Badc => [b, a, d, c],
            Order::Dcba => [d, c, b, a],
        };
        match self.kind {
            Kind::U32 => Some(f64::from(u32::from_be_bytes(bytes))),
            Kind::I32 => Some(f64::from(i32::from_be_bytes(bytes))),
            _ => Some(f64::from(f32::from_be_bytes(bytes))).filter(|number| number.is_finite()),
        }
    }
}

impl Status {
    fn holds(&self, number: f64, other: Option<f64>) -> bool {
        let between = self.between.is_some_and(|(low, high)| number >= low && number <= high);
        let bit = self.bit.is_some_and(|bit| number >= 0.0 && (number as u64) >> bit & 1 == 1);
        self.equals.contains(&number) || between || bit || other.is_some_and(|other| number > other)
    }
}

impl Profile {
    /// The profile with this name, or in the file of this name (ending in `.toml`) beside the site file.
    pub fn find(name: &str, beside: &Path) -> Result<Profile, String> {
        if name == "davy-node" {
            return Ok(Profile::davy_node());
        }
        if let Some((_, text)) = SHIPPED.iter().find(|(id, _)| *id == name) {
            return Profile::parse(name, text);
        }
        if name.ends_with(".toml") {
            let path = beside.join(name);
            let text = std::fs::read_to_string(&path).map_err(|error| format!("cannot read the profile {}: {error}", path.display()))?;
            return Profile::parse(name, &text);
        }
        let names: Vec<&str> = Profile::shipped_names().collect();
        Err(format!("there is no profile {name:?}; there are {}, or name a file ending in .toml", names.join(", ")))
    }

    /// Every profile that comes with Davy.
    pub fn shipped_names() -> impl Iterator<Item = &'static str> {
        std::iter::once("davy-node").chain(SHIPPED.iter().map(|(id, _)| *id))
    }

    fn davy_node() -> Profile {
        Profile {
            id: "davy-node".to_owned(),
            maker: "Davy".to_owned(),
            model: "node".to_owned(),
            source: "firmware/register-map".to_owned(),
            confidence: "own".to_owned(),
            largest_hole: 0,
            registers: Vec::new(),
            values: Vec::new(),
            statuses: Vec::new(),
            vectors: Vec::new(),
            is_davy_node: true,
        }
    }

    /// Reads and checks a profile. The error is one sentence.
    pub fn parse(file: &str, text: &str) -> Result<Profile, String> {
        let profile: Profile = toml::from_str(text).map_err(|error| {
            let line = error.span().and_then(|span| text.get(..span.start)).map_or(1, |before| before.matches('\n').count() + 1);
            format!("profile {file}:{line}: {}", error.message().trim().replace('\n', ", "))
        })?;
        profile.check().map_err(|why| format!("profile {file}: {why}"))?;
        Ok(profile)
    }

    fn check(&self) -> Result<(), String> {
        let there = |key: &str| self.register(key).is_some();
        for (place, register) in self.registers.iter().enumerate() {
            if !matches!(register.function, 3 | 4) {
                return Err(format!("register {:?}: function {} must be 3 or 4; Davy only reads", register.key, register.function));
            }
            if self.registers[..place].iter().any(|other| other.key == register.key) {
                return Err(format!("register {:?} is there twice", register.key));
            }
        }
        for value in &self.values {
            if !there(&value.register) || value.decimals.as_deref().is_some_and(|key| !there(key)) {
                return Err(format!("value {:?} names a register that is not there", value.key));
            }
        }
        for status in &self.statuses {
            if !there(&status.register) || status.above.as_deref().is_some_and(|key| !there(key)) {
                return Err(format!("a status names the register {:?}, which is not there", status.register));
            }
            let fault = status.fault.as_deref().map(|name| fault_named(name).is_some());
            let doubt = status.doubt.as_deref().map(|name| doubt_named(name).is_some());
            match (fault, doubt) {
                (Some(true), None) | (None, Some(true)) => {}
                _ => return Err(format!("the status of register {:?} needs exactly one fault or doubt of Davy's list", status.register)),
            }
        }
        Ok(())
    }

    fn register(&self, key: &str) -> Option<&Register> {
        self.registers.iter().find(|register| register.key == key)
    }

    /// True when a site may take this value.
    pub fn has(&self, key: &str) -> bool {
        if self.is_davy_node {
            return key.parse::<u16>().is_ok_and(|channel| channel < register_map::MAX_CHANNELS);
        }
        self.values.iter().any(|value| value.key == key)
    }

    /// The values there are.
    pub fn keys(&self) -> Vec<String> {
        if self.is_davy_node {
            return vec![format!("0 to {}", register_map::MAX_CHANNELS - 1)];
        }
        self.values.iter().map(|value| value.key.clone()).collect()
    }

    /// The requests that read these values and everything that says something of them.
    pub fn blocks(&self, keys: &[&str]) -> Vec<Block> {
        if self.is_davy_node {
            return node_blocks(keys);
        }
        let mut wanted: Vec<&Register> = Vec::new();
        for value in self.values.iter().filter(|value| keys.contains(&value.key.as_str())) {
            wanted.extend(self.register(&value.register));
            wanted.extend(value.decimals.as_deref().and_then(|key| self.register(key)));
        }
        let about = |status: &&Status| status.value.as_deref().is_none_or(|value| keys.contains(&value));
        for status in self.statuses.iter().filter(about) {
            wanted.extend(self.register(&status.register));
            wanted.extend(status.above.as_deref().and_then(|key| self.register(key)));
        }
        let mut spans: Vec<(u8, u16, u16)> =
            wanted.iter().map(|register| (register.function, register.address, register.address + register.words())).collect();
        spans.sort_unstable();
        let mut blocks: Vec<Block> = Vec::new();
        for (function, start, end) in spans {
            match blocks.last_mut() {
                Some(last)
                    if last.function == function
                        && start <= last.address + last.count + self.largest_hole
                        && end.saturating_sub(last.address) <= MOST_REGISTERS =>
                {
                    last.count = last.count.max(end - last.address);
                }
                _ => blocks.push(Block { function, address: start, count: end - start }),
            }
        }
        blocks
    }

    /// What the words say of a value. Words that were not read make no value.
    pub fn read(&self, key: &str, words: &Words) -> Outcome {
        let Some(value) = self.values.iter().find(|value| value.key == key) else { return Outcome::Bad(Fault::Configuration) };
        let mut doubt = None;
        for status in self.statuses.iter().filter(|status| status.value.as_deref().is_none_or(|about| about == key)) {
            let Some(number) = self.register(&status.register).and_then(|register| register.number(words)) else {
                return Outcome::Bad(Fault::Corrupt);
            };
            let other = status.above.as_deref().and_then(|key| self.register(key)).and_then(|register| register.number(words));
            if !status.holds(number, other) {
                continue;
            }
            if let Some(fault) = status.fault.as_deref().and_then(fault_named) {
                return Outcome::Bad(fault);
            }
            doubt = doubt.or(status.doubt.as_deref().and_then(doubt_named));
        }
        let Some(raw) = self.register(&value.register).and_then(|register| register.number(words)) else {
            return Outcome::Bad(Fault::NotANumber);
        };
        if value.no_value.contains(&raw) {
            return Outcome::Bad(Fault::NotANumber);
        }
        let places = value.decimals.as_deref().and_then(|key| self.register(key)).and_then(|register| register.number(words));
        let divisor = 10_f64.powi(places.unwrap_or(0.0).clamp(0.0, 9.0) as i32);
        match (Outcome::measured(((raw * value.scale + value.offset) / divisor) as f32), doubt) {
            (Outcome::Good(value), Some(doubt)) => Outcome::Uncertain(value, doubt),
            (outcome, _) => outcome,
        }
    }

    /// Runs the vectors. Each failure is a sentence.
    pub fn test(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for vector in &self.vectors {
            let mut words = Words::default();
            for (address, values) in &vector.words {
                let parsed = address.strip_prefix("0x").map_or_else(|| address.parse().ok(), |hex| u16::from_str_radix(hex, 16).ok());
                let Some(address) = parsed else {
                    failures.push(format!("{}: {address:?} is not an address", vector.name));
                    continue;
                };
                for function in [3, 4] {
                    words.add(Block { function, address, count: values.len() as u16 }, values);
                }
            }
            for (key, expected) in &vector.expect {
                let found = self.read(key, &words);
                if !matches_expectation(found, expected) {
                    failures.push(format!("{}: {key} is {} where {expected} is expected", vector.name, described(found)));
                }
            }
        }
        failures
    }
}

/// Seven channel blocks fit one request.
fn node_blocks(keys: &[&str]) -> Vec<Block> {
    let mut channels: Vec<u16> = keys.iter().filter_map(|key| key.parse().ok()).collect();
    channels.sort_unstable();
    channels.dedup();
    let mut blocks = vec![Block { function: 3, address: register_map::IDENTITY, count: register_map::IDENTITY_WORDS as u16 }];
    let words = register_map::CHANNEL_WORDS as u16;
    for channel in channels {
        let address = register_map::channel_address(channel);
        match blocks.last_mut() {
            Some(last)
                if last.address != register_map::IDENTITY
                    && address == last.address + last.count
                    && last.count + words <= MOST_REGISTERS =>
            {
                last.count += words;
            }
            _ => blocks.push(Block { function: 3, address, count: words }),
        }
    }
    blocks
}

fn fault_named(name: &str) -> Option<Fault> {
    Fault::ALL.iter().copied().find(|fault| fault.name() == name)
}

fn doubt_named(name: &str) -> Option<Doubt> {
    Doubt::ALL.iter().copied().find(|doubt| doubt.name() == name)
}

fn described(outcome: Outcome) -> String {
    match outcome {
        Outcome::Good(value) => value.to_string(),
        Outcome::Uncertain(value, doubt) => format!("{value} {}", doubt.name()),
        Outcome::Bad(fault) => fault.name().to_owned(),
    }
}

fn matches_expectation(found: Outcome, expected: &toml::Value) -> bool {
    let close = |value: measurement::Value, number: f64| (f64::from(value.get()) - number).abs() <= number.abs() * 1e-5 + 1e-6;
    match (found, expected) {
        (Outcome::Good(value), toml::Value::Float(number)) => close(value, *number),
        (Outcome::Good(value), toml::Value::Integer(number)) => close(value, *number as f64),
        (Outcome::Uncertain(value, doubt), toml::Value::String(text)) => text
            .split_once(' ')
            .is_some_and(|(number, name)| name == doubt.name() && number.parse().is_ok_and(|number: f64| close(value, number))),
        (Outcome::Bad(fault), toml::Value::String(text)) => text == fault.name(),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
