//! A gateway's catalogue becomes channels: the same tag keeps its number, its binding and its history.

use measurement::{ChannelId, Timestamp, Unit};
use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use std::collections::HashMap;
use telemetry::{Catalogue, CatalogueChannel};

use super::entity::{channels, gateways};
use super::points::{channel_of, measured, rules_text};
use super::{Act, Result, Store, failed, unreadable};
use crate::journal::Fact;
use crate::registry::Channel;

impl Store {
    /// Takes a gateway's catalogue and gives the number of each of its channels, in catalogue order. New tags
    /// get the rules of the pack that the catalogue looks like; a tag that now measures something else gets
    /// new rules, because the old numbers mean nothing in another unit. Both are journalled. The same
    /// catalogue again changes nothing.
    pub async fn adopt_catalogue(
        &self,
        gateway: &str,
        catalogue_hash: u64,
        catalogue: &Catalogue,
        at: Timestamp,
    ) -> Result<Vec<ChannelId>> {
        let mut act = self.begin().await?;
        let rows = channels::Entity::find()
            .filter(channels::Column::Gateway.eq(gateway))
            .all(&act.tx)
            .await
            .map_err(failed("read the channels"))?;
        let mut known: HashMap<String, channels::Model> = rows.into_iter().map(|row| (row.tag.clone(), row)).collect();
        let hash = format!("{catalogue_hash:016x}");
        let met = gateways::Entity::find_by_id(gateway).one(&act.tx).await.map_err(failed("read the gateway"))?;
        let unchanged = met.as_ref().is_some_and(|met| met.catalogue.as_ref() == Some(&hash));
        if unchanged && catalogue.channels.iter().all(|channel| known.contains_key(&channel.tag)) {
            return catalogue.channels.iter().map(|channel| number(known[&channel.tag].id)).collect();
        }

        let pack = risk::suggest(
            catalogue.channels.iter().map(|channel| (channel.quantity.as_str(), channel.measured_in().unwrap_or(Unit::None))),
        );
        let mut numbers = Vec::with_capacity(catalogue.channels.len());
        let (mut new, mut changed) = (Vec::new(), Vec::new());
        for told in &catalogue.channels {
            let old = known.remove(&told.tag);
            let saved = self.adopt(&mut act, gateway, told, old, pack, catalogue.simulated, &mut new, &mut changed).await?;
            numbers.push(number(saved)?);
        }
        let mut gone: Vec<channels::Model> = known.into_values().filter(|row| row.present).collect();
        gone.sort_by(|one, other| one.tag.cmp(&other.tag));
        for row in &gone {
            let mut change = row.clone().into_active_model();
            change.present = Set(false);
            change.update(&act.tx).await.map_err(failed("note a missing channel"))?;
        }
        note_gateway(&act, gateway, &hash, catalogue, met).await?;
        act.tell_all(at, &facts(gateway, pack, &new, &changed, &gone)).await?;
        act.registry_changed = true;
        act.commit().await?;
        Ok(numbers)
    }

    #[expect(clippy::too_many_arguments, reason = "one step of the function above, which owns all of these")]
    async fn adopt(
        &self,
        act: &mut Act,
        gateway: &str,
        told: &CatalogueChannel,
        old: Option<channels::Model>,
        pack: &str,
        simulated: bool,
        new: &mut Vec<String>,
        changed: &mut Vec<String>,
    ) -> Result<i64> {
        let unit = told.measured_in().ok_or_else(|| unreadable("unit", told.unit.to_string()))?;
        let mut row = channels::Model {
            id: old.as_ref().map_or(0, |old| old.id),
            gateway: gateway.to_owned(),
            tag: told.tag.clone(),
            name: told.name.clone(),
            unit: unit.symbol().to_owned(),
            quantity: told.quantity.clone(),
            period_ms: i64::from(told.period_ms.max(1)),
            range_low: told.range_low.map(f64::from),
            range_high: told.range_high.map(f64::from),
            lel_percent_vol: told.lel_percent_vol.map(f64::from),
            reference_celsius: told.reference_celsius.map(f64::from),
            simulated,
            own_health: told.own_health,
            present: true,
            point_id: old.as_ref().and_then(|old| old.point_id),
            pack: old.as_ref().map_or_else(|| pack.to_owned(), |old| old.pack.clone()),
            rules: old.as_ref().map_or_else(|| "[]".to_owned(), |old| old.rules.clone()),
        };
        if let Some(old) = &old
            && !measures_another_thing(old, &row)
        {
            if *old != row {
                row.clone().into_active_model().reset_all().update(&act.tx).await.map_err(failed("change a channel"))?;
            }
            return Ok(row.id);
        }
        let channel: Channel = channel_of(channels::Model { id: 1, ..row.clone() })?;
        row.rules = rules_text(&risk::default_rules(self.pack(&row.pack)?, &measured(&channel)))?;
        let mut change = row.clone().into_active_model().reset_all();
        if old.is_some() {
            changed.push(told.tag.clone());
            change.update(&act.tx).await.map_err(failed("change a channel"))?;
            return Ok(row.id);
        }
        new.push(told.tag.clone());
        change.id = NotSet;
        Ok(change.insert(&act.tx).await.map_err(failed("add a channel"))?.id)
    }
}

fn measures_another_thing(old: &channels::Model, new: &channels::Model) -> bool {
    let of = |row: &channels::Model| {
        (row.unit.clone(), row.quantity.clone(), row.range_low, row.range_high, row.lel_percent_vol, row.reference_celsius, row.own_health)
    };
    of(old) != of(new)
}

async fn note_gateway(act: &Act, gateway: &str, hash: &str, catalogue: &Catalogue, met: Option<gateways::Model>) -> Result<()> {
    let known = met.is_some();
    let mut row = met.map_or_else(
        || gateways::ActiveModel {
            id: Set(gateway.to_owned()),
            name: Set(if catalogue.site.is_empty() { gateway.to_owned() } else { catalogue.site.clone() }),
            secret_hash: Set(None),
            enrolled_at: Set(None),
            ..Default::default()
        },
        IntoActiveModel::into_active_model,
    );
    row.catalogue = Set(Some(hash.to_owned()));
    row.site = Set(catalogue.site.clone());
    row.simulated = Set(catalogue.simulated);
    let saved = if known { row.update(&act.tx).await.map(drop) } else { row.insert(&act.tx).await.map(drop) };
    saved.map_err(failed("note the gateway"))
}

fn facts(gateway: &str, pack: &str, new: &[String], changed: &[String], gone: &[channels::Model]) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut tell = |kind, tags: Vec<&str>, zh: String, en: String| {
        if !tags.is_empty() {
            let list = shortened(&tags);
            facts.push(Fact::seen(kind, gateway, format!("{zh}:{list}"), format!("{en}: {list}")));
        }
    };
    let all = |tags: &[String]| tags.len();
    tell(
        "channel.added",
        new.iter().map(String::as_str).collect(),
        format!("网关 {gateway} 新增 {} 个通道,按规则包 {pack} 设限", all(new)),
        format!("gateway {gateway} brought {} new channels; limits from pack {pack}", all(new)),
    );
    tell(
        "channel.redefined",
        changed.iter().map(String::as_str).collect(),
        format!("网关 {gateway} 的 {} 个通道改变了单位、量程或被测量,限值已重设", all(changed)),
        format!("{} channels of gateway {gateway} changed unit, range or quantity; their limits were set anew", all(changed)),
    );
    tell(
        "channel.withdrawn",
        gone.iter().map(|row| row.tag.as_str()).collect(),
        format!("网关 {gateway} 不再提供 {} 个通道", gone.len()),
        format!("gateway {gateway} no longer offers {} channels", gone.len()),
    );
    facts
}

/// At most twenty tags, and how many more.
fn shortened(tags: &[&str]) -> String {
    let list = tags.iter().take(20).copied().collect::<Vec<_>>().join(", ");
    if tags.len() > 20 { format!("{list} … (+{})", tags.len() - 20) } else { list }
}

fn number(id: i64) -> Result<ChannelId> {
    u32::try_from(id).map(ChannelId).map_err(|_| unreadable("channel number", id.to_string()))
}
