//! A store with a small plant in it, and the real alarm engine to raise alarms there.
#![allow(dead_code, reason = "each test program uses its own part of this")]

pub mod room;

use alarm::{Config, Engine, Observation, Place, Transition};
use collector::journal::Fact;
use collector::registry::{EnterpriseId, PointId};
use collector::store::{Judged, NewEnterprise, NewPoint, Store};
use measurement::{ChannelId, MonotonicMs, Outcome, Timestamp, Unit, Value};
use risk::Level;
use telemetry::{Catalogue, CatalogueChannel};
use tempfile::TempDir;

pub const NOW: Timestamp = Timestamp(1_795_500_000_000);

/// A fresh SQLite store in its own folder.
pub async fn sqlite() -> (Store, String, TempDir) {
    let dir = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}", dir.path().join("davy.sqlite").display());
    let store = Store::open(&url).await.expect("the store opens");
    (store, url, dir)
}

pub fn channel(tag: &str, quantity: &str, unit: Unit, range: (f32, f32)) -> CatalogueChannel {
    CatalogueChannel {
        tag: tag.to_owned(),
        name: tag.to_owned(),
        unit: u32::from(unit.code()),
        quantity: quantity.to_owned(),
        range_low: Some(range.0),
        range_high: Some(range.1),
        period_ms: 1000,
        ..CatalogueChannel::default()
    }
}

pub fn catalogue(channels: Vec<CatalogueChannel>) -> Catalogue {
    Catalogue { channels, site: "厂区".to_owned(), simulated: true }
}

/// Methane in %LEL and hydrogen sulphide in mg/m3 at one gateway.
pub fn two_gases() -> Catalogue {
    catalogue(vec![channel("tank1/ch4", "CH4", Unit::PercentLel, (0.0, 100.0)), channel("tank1/h2s", "H2S", Unit::MgPerM3, (0.0, 100.0))])
}

pub struct Plant {
    pub enterprise: EnterpriseId,
    pub point: PointId,
    pub channels: Vec<ChannelId>,
}

/// An enterprise with one point that two channels of `gateway` watch.
pub async fn plant(store: &Store, name: &str, gateway: &str) -> Plant {
    let enterprise = store.put_enterprise(None, enterprise(name), "admin", NOW).await.expect("registered");
    let point = store.put_point(None, point(enterprise, "P-1"), "admin", NOW).await.expect("registered");
    let catalogue = two_gases();
    let channels = store.adopt_catalogue(gateway, catalogue.hash().0, &catalogue, NOW).await.expect("adopted");
    for channel in &channels {
        store.bind(*channel, Some(point), "admin", NOW).await.expect("bound");
    }
    Plant { enterprise, point, channels }
}

pub fn enterprise(name: &str) -> NewEnterprise {
    NewEnterprise {
        name: name.to_owned(),
        uscc: String::new(),
        kind: "plant".to_owned(),
        county: "信都区".to_owned(),
        contact: String::new(),
        phone: String::new(),
    }
}

pub fn point(enterprise: EnterpriseId, code: &str) -> NewPoint {
    NewPoint {
        enterprise,
        code: code.to_owned(),
        name: format!("污水池 {code}"),
        kind: "confined-space".to_owned(),
        assessed: Level::Yellow,
        longitude: Some(114.5),
        latitude: Some(37.0),
        location: String::new(),
        hazards: String::new(),
        responsible: String::new(),
        phone: String::new(),
        simulated: true,
    }
}

/// The real alarm engine over the store's channels.
pub struct Judge {
    engine: Engine,
    sequence: u64,
    mono: u64,
}

impl Judge {
    pub fn new(store: &Store) -> Judge {
        let mut engine = Engine::new(Config::default(), 1, MonotonicMs(1000));
        let registry = store.registry();
        let channels: Vec<alarm::Channel> = registry
            .channels
            .iter()
            .map(|channel| alarm::Channel {
                id: channel.id,
                gateway: channel.gateway.clone(),
                label: channel.tag.clone(),
                unit: channel.unit,
                period_ms: channel.period_ms,
                simulated: channel.simulated,
                rules: channel.rules.clone(),
            })
            .collect();
        let mut out = Vec::new();
        let unusable = engine.set_channels(&channels, MonotonicMs(1000), NOW, &mut out);
        assert!(unusable.is_empty(), "{unusable:?}");
        Judge { engine, sequence: 0, mono: 1000 }
    }

    /// A live reading, and what it makes of the alarms.
    pub fn reads(&mut self, channel: ChannelId, value: f32) -> Vec<Transition> {
        self.sequence += 1;
        self.mono += 1000;
        let at = NOW.plus_ms(self.mono as i64);
        let mut out = Vec::new();
        let seen = Observation {
            channel,
            place: Place { epoch: 7, sequence: self.sequence },
            sampled_at: at,
            received_at: at,
            now: MonotonicMs(self.mono),
            age_ms: 0,
            outcome: Outcome::Good(Value::new(value).expect("finite")),
            live: true,
            t2: Some(at),
            t3: None,
        };
        self.engine.observe(&seen, &mut out);
        out
    }

    pub fn resets(&mut self, id: &str, who: &str, note: &str) -> Result<Vec<Transition>, alarm::RefusedOrder> {
        let mut out = Vec::new();
        self.engine.reset(id, who, note, NOW.plus_ms(self.mono as i64), &mut out)?;
        Ok(out)
    }

    pub fn acknowledges(&mut self, id: &str, who: &str) -> Vec<Transition> {
        let mut out = Vec::new();
        self.engine.acknowledge(id, who, "on my way", NOW.plus_ms(self.mono as i64), &mut out).expect("open");
        out
    }
}

pub fn judged(transitions: Vec<Transition>) -> Judged {
    let at = transitions.last().map_or(NOW, |transition| transition.at);
    Judged { at, transitions, levels: Vec::new(), facts: Vec::new(), judged_to: None }
}

pub fn fact(text: &str) -> Fact {
    Fact::seen("test.happened", "test", format!("{text}(中文)"), text)
}
