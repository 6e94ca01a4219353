//! What a gateway's channel numbers mean: parts are collected, the whole is adopted by the registry, and until
//! then the letters that need it wait or come again.

use measurement::ChannelId;
use telemetry::topic::GatewayId;
use telemetry::{Catalogue, CataloguePart};
use timeseries::SideWrite;

use super::{Adoption, Counter, Desk, Intake, MOST_PARKED};
use crate::ingest::keys;
use crate::ingest::{Parcel, Refusal};

/// Catalogues whose parts are collected at once for one gateway.
const MOST_COLLECTED: usize = 4;
/// Parts of one catalogue: 65,536 channels fit.
const MOST_PARTS: usize = 1024;

impl Desk {
    /// Collects a part.
    pub(super) fn collect(&mut self, gateway: &GatewayId, part: &CataloguePart, intake: &mut Intake) {
        let counter = self.gateways.entry(gateway.clone()).or_default();
        if counter.catalogues.contains_key(&part.hash) {
            return;
        }
        if !counter.parts.contains_key(&part.hash) && counter.parts.len() >= MOST_COLLECTED {
            // The oldest collection is not known; any that is not being adopted can be asked for again.
            let gone = counter.parts.keys().copied().find(|hash| !counter.adopting.contains(hash));
            gone.and_then(|hash| counter.parts.remove(&hash));
        }
        let parts = counter.parts.entry(part.hash).or_default();
        if parts.len() >= MOST_PARTS || parts.iter().any(|known| known.part == part.part && known.parts == part.parts) {
            return;
        }
        parts.push(part.clone());
        let key = keys::part(gateway.as_str(), part.hash, part.part);
        intake.side.push(SideWrite::Put(key, prost::Message::encode_to_vec(part)));
    }

    /// Has a catalogue adopted when its parts are complete. True when it is being adopted.
    pub(super) fn adopt(&mut self, gateway: &GatewayId, hash: u64, intake: &mut Intake) -> bool {
        let counter = self.gateways.entry(gateway.clone()).or_default();
        if counter.adopting.contains(&hash) {
            return true;
        }
        let Some(parts) = counter.parts.get(&hash) else { return false };
        match Catalogue::from_parts(parts) {
            Ok(catalogue) => {
                counter.adopting.insert(hash);
                intake.adoptions.push(Adoption { gateway: gateway.clone(), hash, catalogue });
                true
            }
            Err(telemetry::CatalogueError::Incomplete { .. }) => false,
            Err(error) => {
                counter.parts.remove(&hash);
                self.refuse(gateway, &Refusal { kind: "bad_catalogue", why: error.to_string() }, intake);
                false
            }
        }
    }

    /// The registry has adopted a catalogue: gives the letters that waited for it, to be taken again.
    pub fn adopted(&mut self, gateway: &GatewayId, hash: u64, channels: Vec<ChannelId>, intake: &mut Intake) -> Vec<Parcel> {
        let counter = self.gateways.entry(gateway.clone()).or_default();
        counter.adopting.remove(&hash);
        let parts = counter.parts.remove(&hash).unwrap_or_default();
        intake.side.push(SideWrite::Put(keys::catalogue(gateway.as_str(), hash), keys::encode_numbers(channels.iter().map(|id| id.0))));
        // From here on the numbers say everything that ingest needs; the catalogue itself is in the registry.
        intake.side.extend(parts.iter().map(|part| SideWrite::Delete(keys::part(gateway.as_str(), hash, part.part))));
        counter.catalogues.insert(hash, channels);
        std::mem::take(&mut counter.parked)
    }

    /// The registry could not adopt it now; it is tried again with the next letter that needs it.
    pub fn not_adopted(&mut self, gateway: &GatewayId, hash: u64) {
        if let Some(counter) = self.gateways.get_mut(gateway) {
            counter.adopting.remove(&hash);
        }
    }
}

impl Counter {
    /// Lets a letter wait for its catalogue. When too many wait it is let go: the gateway sends it again.
    pub(super) fn park(&mut self, parcel: Parcel) {
        if self.parked.len() < MOST_PARKED {
            self.parked.push(parcel);
        }
    }
}
