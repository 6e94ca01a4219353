//! A city's letters: 59,388 channels on gateways that send what they read every five seconds.

use measurement::{ChannelId, Outcome, Reading, Timestamp, Unit};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use telemetry::topic::GatewayId;
use telemetry::{BatchBuilder, Catalogue, CatalogueChannel, CatalogueHash, ClockQuality, Entry, Header, Lane, StampedReading};

/// 14,847 risk points with four channels each: the size of a city.
pub const CHANNELS: u32 = 59_388;
/// How often each channel is read.
pub const PERIOD_MS: u32 = 5_000;

/// One simulated gateway.
pub struct Sender {
    pub id: GatewayId,
    catalogue: Catalogue,
    hash: CatalogueHash,
    next: u64,
    levels: Vec<f32>,
    rng: StdRng,
}

/// Everybody who sends.
pub fn senders(channels: u32, gateways: u32, seed: u64) -> anyhow::Result<Vec<Sender>> {
    let share = channels.div_ceil(gateways);
    (0..gateways)
        .map(|n| Sender::new(n, share.min(channels - (n * share).min(channels)), seed))
        .filter(|sender| !matches!(sender, Ok(sender) if sender.levels.is_empty()))
        .collect()
}

impl Sender {
    fn new(number: u32, channels: u32, seed: u64) -> anyhow::Result<Sender> {
        let list = (0..channels).map(channel).collect();
        let catalogue = Catalogue { channels: list, site: format!("benchmark {number}"), simulated: true };
        let hash = catalogue.hash();
        let mut rng = StdRng::seed_from_u64(seed ^ u64::from(number));
        let levels = (0..channels).map(|_| rng.random_range(0.5..8.0)).collect();
        Ok(Sender { id: GatewayId::new(format!("bench-{number}"))?, catalogue, hash, next: 1, levels, rng })
    }

    /// The catalogue as the first letter.
    pub fn introduction(&mut self, at: Timestamp) -> Vec<Vec<u8>> {
        let parts: Vec<Entry> = self.catalogue.parts().into_iter().map(Entry::CataloguePart).collect();
        self.letters(at, &parts, usize::MAX)
    }

    /// One round: every channel once, in letters of at most `size` readings. `high` of a thousand channels are
    /// beyond any limit in this round. Values move like a quiet instrument's: in steps of its resolution.
    pub fn round(&mut self, at: Timestamp, age_ms: u64, size: usize, high: u32) -> Vec<Vec<u8>> {
        let mut entries = Vec::with_capacity(self.levels.len());
        for (number, level) in self.levels.iter_mut().enumerate() {
            if self.rng.random_range(0..4) == 0 {
                *level = (*level + if self.rng.random_bool(0.5) { 0.1 } else { -0.1 }).clamp(0.0, 9.0);
            }
            let value = if self.rng.random_range(0..1000) < high { 95.0 } else { (*level * 10.0).round() / 10.0 };
            let reading = Reading { channel: ChannelId(number as u32), sampled_at: at, outcome: Outcome::measured(value) };
            entries.push(Entry::Reading(StampedReading { reading, parse_lag_ms: 4, age_ms: Some(age_ms) }));
        }
        self.letters(at, &entries, size)
    }

    /// How many channels it has.
    pub fn channels(&self) -> usize {
        self.levels.len()
    }

    /// The sequence it will use next.
    pub fn next(&self) -> u64 {
        self.next
    }

    fn letters(&mut self, at: Timestamp, entries: &[Entry], size: usize) -> Vec<Vec<u8>> {
        let mut letters = Vec::new();
        let mut left = entries;
        while !left.is_empty() {
            let header = Header {
                epoch: 1,
                floor: 1,
                lane: Lane::Live,
                boot: 1,
                sent_at: at,
                clock: ClockQuality::Synchronised,
                catalogue: self.hash,
                transit_ms: Some(2),
                age_known: true,
            };
            let mut builder = BatchBuilder::new(header, self.next);
            let taken = left.iter().take(size).take_while(|entry| builder.push(entry)).count();
            left = &left[taken..];
            self.next += taken as u64;
            letters.push(builder.finish());
        }
        letters
    }
}

fn channel(number: u32) -> CatalogueChannel {
    // Only methane, so that one value means the same everywhere; the judge's work is the same for each gas.
    CatalogueChannel {
        tag: format!("node-{}/{}", number / 4, number % 4),
        name: format!("channel {number}"),
        device: format!("node-{}", number / 4),
        model: "davy-node".to_owned(),
        unit: u32::from(Unit::PercentLel.code()),
        quantity: "CH4".to_owned(),
        range_low: Some(0.0),
        range_high: Some(100.0),
        lel_percent_vol: Some(5.0),
        reference_celsius: None,
        period_ms: PERIOD_MS,
        serial: String::new(),
        own_health: false,
    }
}
