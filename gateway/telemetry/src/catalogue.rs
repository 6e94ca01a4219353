//! The channel catalogue: what the channel numbers of a gateway mean. It is spooled like a reading, in
//! parts, and named by its hash in every batch.

use measurement::Unit;
use prost::Message;

/// FNV-1a-64 of the encoded catalogue. Zero names no catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CatalogueHash(pub u64);

/// Every channel of one gateway. A channel's number is its place in the list.
#[derive(Clone, PartialEq, Message)]
pub struct Catalogue {
    /// In number order.
    #[prost(message, repeated, tag = "1")]
    pub channels: Vec<CatalogueChannel>,
    /// The site's name, for people.
    #[prost(string, tag = "2")]
    pub site: String,
    /// True when everything here is simulated; shown over every value.
    #[prost(bool, tag = "3")]
    pub simulated: bool,
}

/// One channel.
#[derive(Clone, PartialEq, Message)]
pub struct CatalogueChannel {
    /// Unique within the gateway, stable across restarts and catalogue changes: `device/key`.
    #[prost(string, tag = "1")]
    pub tag: String,
    /// For people.
    #[prost(string, tag = "2")]
    pub name: String,
    /// The device it is read from.
    #[prost(string, tag = "3")]
    pub device: String,
    /// Profile or model of the device.
    #[prost(string, tag = "4")]
    pub model: String,
    /// [`Unit::code`].
    #[prost(uint32, tag = "5")]
    pub unit: u32,
    /// Formula or short name of the gas or quantity: `CH4`, `O2`, `H2S`, `CO`, `temperature`.
    #[prost(string, tag = "6")]
    pub quantity: String,
    /// Lower and upper end of the measuring range, in the channel's unit; absent when unknown.
    #[prost(float, optional, tag = "7")]
    pub range_low: Option<f32>,
    /// See `range_low`.
    #[prost(float, optional, tag = "8")]
    pub range_high: Option<f32>,
    /// LEL base in %vol when the unit is %LEL.
    #[prost(float, optional, tag = "9")]
    pub lel_percent_vol: Option<f32>,
    /// Reference temperature in °C when the unit is mg/m3.
    #[prost(float, optional, tag = "10")]
    pub reference_celsius: Option<f32>,
    /// How often it is read.
    #[prost(uint32, tag = "11")]
    pub period_ms: u32,
    /// Serial number of the device where it has one.
    #[prost(string, tag = "12")]
    pub serial: String,
    /// True for the gateway's own health (disk, clock, spool, bus), false for the plant.
    #[prost(bool, tag = "13")]
    pub own_health: bool,
}

/// A piece of an encoded catalogue, small enough for one entry.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CataloguePart {
    /// The whole catalogue's hash.
    #[prost(fixed64, tag = "1")]
    pub hash: u64,
    /// Counting from zero.
    #[prost(uint32, tag = "2")]
    pub part: u32,
    /// How many parts there are.
    #[prost(uint32, tag = "3")]
    pub parts: u32,
    /// The bytes.
    #[prost(bytes = "vec", tag = "4")]
    pub bytes: Vec<u8>,
}

/// Why parts do not make a catalogue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    /// Not all parts are here, or they disagree about how many there are.
    #[error("catalogue {hash:016x} has {have} of {parts} parts")]
    Incomplete { hash: u64, have: usize, parts: u32 },
    /// The bytes do not have the hash that names them.
    #[error("catalogue {named:016x} has the hash {actual:016x}")]
    WrongHash { named: u64, actual: u64 },
    /// The bytes are no catalogue.
    #[error("catalogue {hash:016x} cannot be decoded")]
    Malformed { hash: u64 },
    /// Two channels have one tag, a tag is empty or a unit is unknown.
    #[error("catalogue {hash:016x}: channel {index} ({tag:?}) {what}")]
    BadChannel { hash: u64, index: usize, tag: String, what: &'static str },
}

/// Bytes of one part: four parts fit a payload with room for their frames.
const PART_BYTES: usize = 12 * 1024;

/// A catalogue of more channels than this is refused.
const MAX_CHANNELS: usize = 65_536;

impl Catalogue {
    /// The hash of this catalogue.
    pub fn hash(&self) -> CatalogueHash {
        CatalogueHash(crate::topic::fnv1a_64(&self.encode_to_vec()).max(1))
    }

    /// The catalogue in parts that each fit one entry.
    pub fn parts(&self) -> Vec<CataloguePart> {
        let bytes = self.encode_to_vec();
        let hash = self.hash().0;
        let pieces: Vec<&[u8]> = if bytes.is_empty() { vec![&[]] } else { bytes.chunks(PART_BYTES).collect() };
        let parts = pieces.len() as u32;
        pieces
            .into_iter()
            .enumerate()
            .map(|(part, bytes)| CataloguePart { hash, part: part as u32, parts, bytes: bytes.to_vec() })
            .collect()
    }

    /// Puts parts together again, in any order and with repetitions, and checks the whole.
    pub fn from_parts(parts: &[CataloguePart]) -> Result<Catalogue, CatalogueError> {
        let Some(first) = parts.first() else { return Err(CatalogueError::Incomplete { hash: 0, have: 0, parts: 0 }) };
        let (hash, count) = (first.hash, first.parts);
        let mut in_order: Vec<&CataloguePart> = parts.iter().filter(|p| p.hash == hash && p.parts == count && p.part < count).collect();
        in_order.sort_by_key(|p| p.part);
        in_order.dedup_by_key(|p| p.part);
        if in_order.len() != count as usize {
            return Err(CatalogueError::Incomplete { hash, have: in_order.len(), parts: count });
        }
        let bytes: Vec<u8> = in_order.iter().flat_map(|p| p.bytes.iter().copied()).collect();
        let actual = crate::topic::fnv1a_64(&bytes).max(1);
        if actual != hash {
            return Err(CatalogueError::WrongHash { named: hash, actual });
        }
        let catalogue = Catalogue::decode(bytes.as_slice()).map_err(|_| CatalogueError::Malformed { hash })?;
        catalogue.check(hash)?;
        Ok(catalogue)
    }

    fn check(&self, hash: u64) -> Result<(), CatalogueError> {
        let mut tags = std::collections::HashSet::new();
        for (index, channel) in self.channels.iter().enumerate() {
            let bad = |what| Err(CatalogueError::BadChannel { hash, index, tag: channel.tag.clone(), what });
            if index >= MAX_CHANNELS {
                return bad("is one too many");
            }
            if channel.tag.is_empty() || channel.tag.len() > 128 {
                return bad("needs a tag of 1 to 128 bytes");
            }
            if !tags.insert(channel.tag.as_str()) {
                return bad("repeats a tag");
            }
            if channel.measured_in().is_none() {
                return bad("has an unknown unit");
            }
        }
        Ok(())
    }
}

impl CatalogueChannel {
    /// The unit of the channel's values; `None` for a code of a later version.
    pub fn measured_in(&self) -> Option<Unit> {
        u8::try_from(self.unit).ok().and_then(Unit::from_code)
    }
}
