//! Registers the demo city with the collector: enterprises, risk points, bindings. What is there already stays.

use anyhow::{Context, Result};
use collector::registry::{EnterpriseId, PointId};
use collector::store::{NewEnterprise, NewPoint, Store};
use measurement::Timestamp;

use crate::city::{Plant, Point};

/// Who the journal says did it.
const WHO: &str = "demo";

/// Registers an enterprise and those of its points that the demo registers for the newcomer.
pub async fn register(store: &Store, plant: &Plant, at: Timestamp) -> Result<()> {
    let known = store.registry().enterprises.iter().find(|one| one.uscc == plant.uscc).map(|one| one.id);
    let enterprise = match known {
        Some(id) => id,
        None => {
            let new = NewEnterprise {
                name: plant.name.to_owned(),
                uscc: plant.uscc.to_owned(),
                kind: plant.kind.to_owned(),
                county: plant.county.to_owned(),
                contact: "模拟 Simulated".to_owned(),
                phone: String::new(),
            };
            store.put_enterprise(None, new, WHO, at).await.with_context(|| format!("cannot register {}", plant.name))?
        }
    };
    for point in plant.points.iter().filter(|point| point.is_registered) {
        if find(store, enterprise, point).is_none() {
            let new = new_point(enterprise, plant, point)?;
            store.put_point(None, new, WHO, at).await.with_context(|| format!("cannot register {}", point.code))?;
        }
    }
    Ok(())
}

/// Binds the channels that a plant's gateway has told of so far. Gives how many are still awaited.
pub async fn bind(store: &Store, plant: &Plant, at: Timestamp) -> Result<usize> {
    let registry = store.registry();
    let Some(enterprise) = registry.enterprises.iter().find(|one| one.uscc == plant.uscc).map(|one| one.id) else {
        return Ok(usize::MAX);
    };
    let mut awaited = 0;
    for point in plant.points.iter().filter(|point| point.is_registered) {
        let Some(id) = find(store, enterprise, point) else { continue };
        for channel in point.channels {
            let tag = format!("{}/{}", point.code, channel.key);
            match registry.channels_on(plant.gateway).find(|known| known.tag == tag) {
                None => awaited += 1,
                Some(known) if known.point.is_none() => store.bind(known.id, Some(id), WHO, at).await?,
                Some(_) => {}
            }
        }
    }
    Ok(awaited)
}

fn find(store: &Store, enterprise: EnterpriseId, point: &Point) -> Option<PointId> {
    let registry = store.registry();
    registry.points.iter().find(|known| known.enterprise == enterprise && known.code == point.code).map(|known| known.id)
}

fn new_point(enterprise: EnterpriseId, plant: &Plant, point: &Point) -> Result<NewPoint> {
    let assessed = risk::Level::from_name(point.assessed).with_context(|| format!("{:?} is no level", point.assessed))?;
    Ok(NewPoint {
        enterprise,
        code: point.code.clone(),
        name: point.name.clone(),
        kind: point.kind.to_owned(),
        assessed,
        longitude: Some(point.longitude),
        latitude: Some(point.latitude),
        location: plant.county.to_owned(),
        hazards: point.hazards.to_owned(),
        responsible: "模拟 Simulated".to_owned(),
        phone: String::new(),
        simulated: true,
    })
}
