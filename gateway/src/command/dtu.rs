//! The door that DTUs dial in at, for commands that ask a bus themselves.

use std::time::Duration;

use anyhow::Context;
use gateway::poll::dtu::Dtus;
use gateway::poll::link::Road;
use gateway::site::{Bus, Site};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A DTU dials in when it likes; it is waited for so long.
const DIALS_WITHIN: Duration = Duration::from_secs(60);
/// Whether it has dialled in is looked at so often.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Shut when it is dropped.
pub struct Door {
    pub dtus: Dtus,
    _shuts: Option<DropGuard>,
}

/// Opens the site's door when one of these buses needs it. A running gateway has it already.
pub async fn open(site: &Site, buses: &[&Bus]) -> anyhow::Result<Door> {
    let Some(door) = site.dtu.clone().filter(|_| buses.iter().any(|bus| registration(bus).is_some())) else {
        return Ok(Door { dtus: Dtus::default(), _shuts: None });
    };
    let (listen, shutdown) = (door.listen, CancellationToken::new());
    let known = site.buses.iter().filter_map(|bus| registration(bus).map(<[u8]>::to_vec)).collect();
    let opened = Dtus::listen(door, known, shutdown.clone()).await;
    let dtus = opened.with_context(|| format!("cannot listen for DTUs on {listen}; stop the gateway first when it runs"))?;
    Ok(Door { dtus, _shuts: Some(shutdown.drop_guard()) })
}

impl Door {
    /// A bus behind a DTU has no line until the DTU has dialled in. One that does not come is told of by the first question.
    pub async fn wait_for(&self, bus: &Bus) {
        let Some(registration) = registration(bus).filter(|registration| !self.dtus.has_dialled(registration)) else { return };
        eprintln!("bus {}: its DTU must dial in first; waiting up to {} s", bus.name, DIALS_WITHIN.as_secs());
        let dials = async {
            while !self.dtus.has_dialled(registration) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let _ = tokio::time::timeout(DIALS_WITHIN, dials).await;
    }
}

fn registration(bus: &Bus) -> Option<&[u8]> {
    match &bus.road {
        Road::Dtu { registration } => Some(registration),
        _ => None,
    }
}
