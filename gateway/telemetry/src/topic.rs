//! Topics: `{root}/{shard}/{gateway}/{up,birth,status,ack,cmd}`.

/// The default topic root; it carries the protocol version.
pub const DEFAULT_ROOT: &str = "davy/v1";

/// How many shards there are. Collectors own ranges of shards, so order per gateway needs no shared subscription.
pub const SHARDS: u64 = 64;

/// A gateway's name: 1 to 32 of `a-z`, `0-9` and `-`, so that it can never widen a topic pattern.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GatewayId(String);

/// What a gateway's name must look like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("gateway id {0:?} must be 1 to 32 characters of a-z, 0-9 and '-'")]
pub struct InvalidGatewayId(pub String);

impl GatewayId {
    /// The name, checked.
    pub fn new(name: impl Into<String>) -> Result<GatewayId, InvalidGatewayId> {
        let name = name.into();
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if (1..=32).contains(&name.len()) && name.chars().all(legal) { Ok(GatewayId(name)) } else { Err(InvalidGatewayId(name)) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The shard this gateway belongs to.
    pub fn shard(&self) -> u64 {
        fnv1a_64(self.0.as_bytes()) % SHARDS
    }
}

impl std::fmt::Display for GatewayId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a topic carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Gateway to collector: batches.
    Up,
    /// Gateway to collector: who I am, after each connect.
    Birth,
    /// Gateway to collector: heartbeat, and the last will.
    Status,
    /// Collector to gateway: what is on disk.
    Ack,
    /// Collector to gateway: requests.
    Cmd,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 5] = [Kind::Up, Kind::Birth, Kind::Status, Kind::Ack, Kind::Cmd];

    /// The last level of the topic.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Up => "up",
            Kind::Birth => "birth",
            Kind::Status => "status",
            Kind::Ack => "ack",
            Kind::Cmd => "cmd",
        }
    }
}

/// The topic of one gateway and kind.
pub fn topic(root: &str, gateway: &GatewayId, kind: Kind) -> String {
    format!("{root}/{}/{gateway}/{}", gateway.shard(), kind.as_str())
}

/// What a collector subscribes to for one shard and kind.
pub fn shard_filter(root: &str, shard: u64, kind: Kind) -> String {
    format!("{root}/{shard}/+/{}", kind.as_str())
}

/// What a collector that owns every shard subscribes to.
pub fn every_shard_filter(root: &str, kind: Kind) -> String {
    format!("{root}/+/+/{}", kind.as_str())
}

/// Takes a topic apart; `None` when it is not ours, or its shard is not its gateway's.
pub fn parse(root: &str, topic: &str) -> Option<(GatewayId, Kind)> {
    let rest = topic.strip_prefix(root)?.strip_prefix('/')?;
    let mut levels = rest.split('/');
    let (shard, gateway, kind) = (levels.next()?, levels.next()?, levels.next()?);
    if levels.next().is_some() {
        return None;
    }
    let gateway = GatewayId::new(gateway).ok()?;
    let kind = Kind::ALL.into_iter().find(|k| k.as_str() == kind)?;
    (shard == gateway.shard().to_string()).then_some((gateway, kind))
}

/// FNV-1a, 64 bit.
pub fn fnv1a_64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
