//! What a maker's registers mean: a profile is data (`gateway/profiles/*.toml`), never code. Our own node is
//! the one exception: its map is a contract of this repository.
//!
//! A profile names registers, the values people may take from them, and the rules by which status registers
//! turn a value into a doubt or a fault. Vectors in the same file are its tests. The language is described in
//! `gateway/profiles/README.md`, and for editors in `profile.schema.json` beside it; a test keeps them in step.

use std::collections::BTreeMap;
use std::path::Path;

use measurement::{Doubt, Fault, Unit};
use serde::Deserialize;

mod check;
mod read;
mod vectors;

pub use read::{Block, StatedUnit, Words};

const SHIPPED: &[(&str, &str)] = &[
    ("honeywell-xnx", include_str!("../profiles/honeywell-xnx.toml")),
    ("honeywell-midas", include_str!("../profiles/honeywell-midas.toml")),
    ("msa-ultima-x3", include_str!("../profiles/msa-ultima-x3.toml")),
    ("oldham-olct-700", include_str!("../profiles/oldham-olct-700.toml")),
    ("draeger-polytron-8000", include_str!("../profiles/draeger-polytron-8000.toml")),
    ("rki-beacon-410", include_str!("../profiles/rki-beacon-410.toml")),
    ("cn-multigas-10reg", include_str!("../profiles/cn-multigas-10reg.toml")),
    ("senseair-s8", include_str!("../profiles/senseair-s8.toml")),
    ("vaisala-gmp252", include_str!("../profiles/vaisala-gmp252.toml")),
    ("wb-msw-v3", include_str!("../profiles/wb-msw-v3.toml")),
    ("adtek-wsa-wind", include_str!("../profiles/adtek-wsa-wind.toml")),
    ("level-qdy30a", include_str!("../profiles/level-qdy30a.toml")),
    ("delta-ms300-fan", include_str!("../profiles/delta-ms300-fan.toml")),
    ("waveshare-relay-8ch", include_str!("../profiles/waveshare-relay-8ch.toml")),
];

/// Most registers of one request (Modbus application protocol 6.3). Coils and inputs are asked for no more of.
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
    /// How its line leaves the factory, for people: the site file decides.
    #[serde(default)]
    pub line: String,
    /// What the manual counts addresses from, 0 or 1; addresses of this profile are then as the manual prints them. Once
    /// read, a profile's registers have wire addresses.
    #[serde(default)]
    pub address_base: u8,
    /// Registers between two wanted ones that may be read along.
    #[serde(default)]
    pub largest_hole: u16,
    /// Most registers that the device gives in one answer.
    #[serde(default = "most_registers")]
    pub most_registers: u16,
    /// The registers.
    #[serde(default, rename = "register")]
    pub registers: Vec<Register>,
    /// What must stand in these registers, or it is another device.
    #[serde(default, rename = "identity")]
    pub identities: Vec<Identity>,
    /// The values that a site may take.
    #[serde(default, rename = "value")]
    pub values: Vec<Value>,
    /// What status registers say of the values. The first that holds decides; faults stand before doubts.
    #[serde(default, rename = "status")]
    pub statuses: Vec<Status>,
    /// The registers that hold the device's serial number.
    pub serial: Option<Serial>,
    /// The register that shows that the instrument behind the line lives.
    pub heartbeat: Option<Heartbeat>,
    /// Its tests.
    #[serde(default, rename = "vector")]
    pub vectors: Vec<Vector>,
    /// Our own node's map instead of the tables above.
    #[serde(default, skip)]
    pub is_davy_node: bool,
}

fn most_registers() -> u16 {
    MOST_REGISTERS
}

/// One register, or the few that make one number.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// Its name in this profile.
    pub key: String,
    /// Function code: 1 coils, 2 discrete inputs, 3 holding registers, 4 input registers. All of them read.
    #[serde(default = "three")]
    pub function: u8,
    /// Address, counted from the profile's `address_base`.
    pub address: u16,
    /// How the bits make a number.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Order of the bytes of a 32-bit number.
    #[serde(default)]
    pub order: Order,
    /// The bits of a u16 that count; the result is shifted down to bit 0.
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
    /// A coil or a discrete input: 0 or 1.
    Bit,
    /// Four characters in two registers, for `unit_from` and `serial` only.
    Text4,
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

/// A value that a site may take. Of several with one key the first whose `when` holds is the value.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Value {
    /// Its name in site files.
    pub key: String,
    /// The register it comes from.
    pub register: String,
    /// A second register that the number is made with.
    pub combine: Option<Combine>,
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
    /// The unit that the device always gives this in.
    #[serde(default, deserialize_with = "unit")]
    pub unit: Option<Unit>,
    /// The register that says which unit the device gives this in.
    pub unit_from: Option<UnitFrom>,
    /// Only then.
    pub when: Option<Condition>,
}

fn unity() -> f64 {
    1.0
}

fn unit<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Unit>, D::Error> {
    let symbol = String::deserialize(from)?;
    Unit::from_symbol(&symbol).map(Some).ok_or_else(|| serde::de::Error::custom(format!("{symbol:?} is not a unit; {UNITS}")))
}

const UNITS: &str = "write for example %LEL, %vol, ppm, mg/m3 or °C";

/// A number made of two: raw = register `by` other × scale.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Combine {
    /// The other register.
    pub register: String,
    /// How.
    pub by: By,
    /// The other number is multiplied by this first.
    #[serde(default = "unity")]
    pub scale: f64,
}

/// How two numbers make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    Plus,
    Minus,
    Times,
    Over,
}

/// The unit that a register names.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitFrom {
    /// The register.
    pub register: String,
    /// Unit by what stands there; an empty one means "as the site file says".
    pub symbols: BTreeMap<String, String>,
}

/// Something that a register's number fulfils. Any one of these suffices.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The register.
    pub register: String,
    /// The number is one of these.
    #[serde(default)]
    pub equals: Vec<f64>,
    /// The number lies between these, both included.
    pub between: Option<(f64, f64)>,
    /// This bit is set.
    pub bit: Option<u8>,
    /// This bit is not set.
    pub clear: Option<u8>,
    /// The number exceeds that of this other register.
    pub above: Option<String>,
}

/// When a register says something of the values.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "RawStatus")]
pub struct Status {
    /// Then it does …
    pub condition: Condition,
    /// … provided that this holds as well.
    pub when: Option<Condition>,
    /// Only for this value; for all when left out.
    pub value: Option<String>,
    /// What it says.
    pub verdict: Verdict,
}

/// What a status says of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Fault(Fault),
    Doubt(Doubt),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStatus {
    register: String,
    #[serde(default)]
    equals: Vec<f64>,
    between: Option<(f64, f64)>,
    bit: Option<u8>,
    clear: Option<u8>,
    above: Option<String>,
    when: Option<Condition>,
    value: Option<String>,
    fault: Option<String>,
    doubt: Option<String>,
}

impl TryFrom<RawStatus> for Status {
    type Error = String;

    fn try_from(raw: RawStatus) -> Result<Status, String> {
        let fault = raw.fault.as_deref().map(fault_named);
        let doubt = raw.doubt.as_deref().map(doubt_named);
        let verdict = match (fault, doubt) {
            (Some(Some(fault)), None) => Verdict::Fault(fault),
            (None, Some(Some(doubt))) => Verdict::Doubt(doubt),
            _ => return Err(format!("the status of register {:?} needs exactly one fault or doubt of Davy's list", raw.register)),
        };
        let RawStatus { register, equals, between, bit, clear, above, when, value, .. } = raw;
        Ok(Status { condition: Condition { register, equals, between, bit, clear, above }, when, value, verdict })
    }
}

/// What a register must hold for this to be the right device.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The register.
    pub register: String,
    /// One of these.
    pub equals: Vec<f64>,
}

/// Where a device's serial number stands.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Serial {
    /// The registers, the most significant or the first of the text first.
    pub registers: Vec<String>,
    /// How people write it.
    #[serde(default, rename = "as")]
    pub form: SerialForm,
}

/// How a serial number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SerialForm {
    /// One number, in decimal digits.
    #[default]
    Number,
    /// One number, in hex digits, with its leading zeros.
    Hex,
    /// Characters, of registers of type `text4`.
    Text,
}

/// A register that moves as long as the instrument lives.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// The register.
    pub register: String,
    /// Unchanged for longer than this, the instrument has stopped although its line answers.
    pub still_s: u32,
}

/// A register image and what must be read from it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vector {
    /// A sentence.
    pub name: String,
    /// Words by address, as `"0x0002" = [0x4248, 0x0000]`; they stand in holding and input registers alike.
    #[serde(default)]
    pub words: BTreeMap<String, Vec<u16>>,
    /// Coils by address, 0 or 1.
    #[serde(default)]
    pub coils: BTreeMap<String, Vec<u16>>,
    /// Discrete inputs by address, 0 or 1.
    #[serde(default)]
    pub inputs: BTreeMap<String, Vec<u16>>,
    /// Value by key: a number, the name of a fault, or `"12.5 DeviceWarning"`.
    pub expect: BTreeMap<String, toml::Value>,
    /// The unit that the device gives a value in, by key.
    #[serde(default)]
    pub units: BTreeMap<String, String>,
    /// The serial number.
    pub serial: Option<String>,
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
            line: "RS-485, as its switches say".to_owned(),
            address_base: 0,
            largest_hole: 0,
            most_registers: MOST_REGISTERS,
            registers: Vec::new(),
            identities: Vec::new(),
            values: Vec::new(),
            statuses: Vec::new(),
            serial: None,
            heartbeat: None,
            vectors: Vec::new(),
            is_davy_node: true,
        }
    }

    /// Reads and checks a profile. The error is one sentence.
    pub fn parse(file: &str, text: &str) -> Result<Profile, String> {
        let mut profile: Profile = toml::from_str(text).map_err(|error| {
            let line = error.span().and_then(|span| text.get(..span.start)).map_or(1, |before| before.matches('\n').count() + 1);
            format!("profile {file}:{line}: {}", error.message().trim().replace('\n', ", "))
        })?;
        profile.count_from_zero().and_then(|()| profile.check()).map_err(|why| format!("profile {file}: {why}"))?;
        Ok(profile)
    }

    /// Turns addresses as the manual prints them into those on the wire.
    fn count_from_zero(&mut self) -> Result<(), String> {
        let base = u16::from(self.address_base);
        if base > 1 {
            return Err(format!("address_base {base} must be 0 or 1; of a number like 40001 write the last digits only"));
        }
        for register in &mut self.registers {
            register.address = register
                .address
                .checked_sub(base)
                .ok_or_else(|| format!("register {:?}: address {} lies before the first, {base}", register.key, register.address))?;
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
        let mut keys: Vec<String> = self.values.iter().map(|value| value.key.clone()).collect();
        keys.dedup();
        keys
    }
}

fn fault_named(name: &str) -> Option<Fault> {
    Fault::ALL.iter().copied().find(|fault| fault.name() == name)
}

fn doubt_named(name: &str) -> Option<Doubt> {
    Doubt::ALL.iter().copied().find(|doubt| doubt.name() == name)
}

#[cfg(test)]
mod tests;
