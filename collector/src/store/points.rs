//! Enterprises, risk points and bindings: what people register.

use alarm::Rule;
use measurement::{ChannelId, Timestamp, Unit};
use risk::Level;
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
};

use super::entity::{channels, enterprises, gateways, risk_points};
use super::{Result, Store, StoreError, failed, unreadable};
use crate::journal::Fact;
use crate::registry::{Channel, Enterprise, EnterpriseId, KnownGateway, PointId, Registry, RiskPoint};

/// Why a change of the registry was refused.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    #[error("there is no {0} with this number")]
    Unknown(&'static str),
    #[error("the enterprise already has a risk point with the code {0:?}")]
    CodeTaken(String),
    #[error(transparent)]
    Looser(#[from] risk::LooserRule),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An enterprise as a person enters it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEnterprise {
    pub name: String,
    pub uscc: String,
    pub kind: String,
    pub county: String,
    pub contact: String,
    pub phone: String,
}

/// A risk point as a person enters it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPoint {
    pub enterprise: EnterpriseId,
    pub code: String,
    pub name: String,
    pub kind: String,
    pub assessed: Level,
    pub longitude: Option<f64>,
    pub latitude: Option<f64>,
    pub location: String,
    pub hazards: String,
    pub responsible: String,
    pub phone: String,
    pub simulated: bool,
}

impl Store {
    /// Registers an enterprise, or changes one.
    pub async fn put_enterprise(
        &self,
        id: Option<EnterpriseId>,
        new: NewEnterprise,
        who: &str,
        at: Timestamp,
    ) -> std::result::Result<EnterpriseId, EditError> {
        let mut act = self.begin().await?;
        let name = new.name.clone();
        let row = enterprises::ActiveModel {
            id: id.map_or(NotSet, |id| Set(id.0)),
            name: Set(new.name),
            uscc: Set(new.uscc),
            kind: Set(new.kind),
            county: Set(new.county),
            contact: Set(new.contact),
            phone: Set(new.phone),
        };
        let saved = match id {
            None => row.insert(&act.tx).await.map_err(failed("register an enterprise"))?,
            Some(id) => {
                let known = enterprises::Entity::find_by_id(id.0).one(&act.tx).await.map_err(failed("read the enterprise"))?;
                known.ok_or(EditError::Unknown("enterprise"))?;
                row.update(&act.tx).await.map_err(failed("change an enterprise"))?
            }
        };
        let (kind, zh, en) = match id {
            None => ("enterprise.registered", "登记企业", "registered enterprise"),
            Some(_) => ("enterprise.changed", "修改企业", "changed enterprise"),
        };
        act.tell(at, &Fact::done(kind, who, format!("enterprise/{}", saved.id), format!("{zh}:{name}"), format!("{en}: {name}"))).await?;
        act.registry_changed = true;
        act.commit().await?;
        Ok(EnterpriseId(saved.id))
    }

    /// Registers a risk point, or changes one.
    pub async fn put_point(&self, id: Option<PointId>, new: NewPoint, who: &str, at: Timestamp) -> std::result::Result<PointId, EditError> {
        let mut act = self.begin().await?;
        let owner = enterprises::Entity::find_by_id(new.enterprise.0).one(&act.tx).await.map_err(failed("read the enterprise"))?;
        owner.ok_or(EditError::Unknown("enterprise"))?;
        let same_code = risk_points::Entity::find()
            .filter(risk_points::Column::EnterpriseId.eq(new.enterprise.0))
            .filter(risk_points::Column::Code.eq(&new.code));
        let taken = same_code.one(&act.tx).await.map_err(failed("read the risk points"))?;
        if taken.is_some_and(|other| id.is_none_or(|id| id.0 != other.id)) {
            return Err(EditError::CodeTaken(new.code));
        }
        let label = format!("{} {}({})", new.code, new.name, new.assessed);
        let row = risk_points::ActiveModel {
            id: id.map_or(NotSet, |id| Set(id.0)),
            enterprise_id: Set(new.enterprise.0),
            code: Set(new.code),
            name: Set(new.name),
            kind: Set(new.kind),
            assessed: Set(new.assessed.name().to_owned()),
            longitude: Set(new.longitude),
            latitude: Set(new.latitude),
            location: Set(new.location),
            hazards: Set(new.hazards),
            responsible: Set(new.responsible),
            phone: Set(new.phone),
            simulated: Set(new.simulated),
        };
        let saved = match id {
            None => row.insert(&act.tx).await.map_err(failed("register a risk point"))?,
            Some(id) => {
                let known = risk_points::Entity::find_by_id(id.0).one(&act.tx).await.map_err(failed("read the risk point"))?;
                known.ok_or(EditError::Unknown("risk point"))?;
                row.update(&act.tx).await.map_err(failed("change a risk point"))?
            }
        };
        let (kind, zh, en) = match id {
            None => ("point.registered", "登记风险点", "registered risk point"),
            Some(_) => ("point.changed", "修改风险点", "changed risk point"),
        };
        act.tell(at, &Fact::done(kind, who, format!("point/{}", saved.id), format!("{zh}:{label}"), format!("{en}: {label}"))).await?;
        act.registry_changed = true;
        act.commit().await?;
        Ok(PointId(saved.id))
    }

    /// Binds a channel to a point, or to none.
    pub async fn bind(&self, channel: ChannelId, point: Option<PointId>, who: &str, at: Timestamp) -> std::result::Result<(), EditError> {
        let mut act = self.begin().await?;
        let row = channels::Entity::find_by_id(i64::from(channel.0)).one(&act.tx).await.map_err(failed("read the channel"))?;
        let row = row.ok_or(EditError::Unknown("channel"))?;
        let point_row = match point {
            Some(point) => {
                let found = risk_points::Entity::find_by_id(point.0).one(&act.tx).await.map_err(failed("read the risk point"))?;
                Some(found.ok_or(EditError::Unknown("risk point"))?)
            }
            None => None,
        };
        let (about, mut change): (String, channels::ActiveModel) = (format!("{}/{}", row.gateway, row.tag), row.into());
        change.point_id = Set(point.map(|point| point.0));
        change.update(&act.tx).await.map_err(failed("bind a channel"))?;
        let (zh, en) = match point_row {
            Some(point) => (
                format!("通道 {about} 绑定到风险点 {} {}", point.code, point.name),
                format!("bound channel {about} to risk point {} {}", point.code, point.name),
            ),
            None => (format!("通道 {about} 解除绑定"), format!("unbound channel {about}")),
        };
        act.tell(at, &Fact::done("channel.bound", who, about, zh, en)).await?;
        act.registry_changed = true;
        act.commit().await?;
        Ok(())
    }

    /// Gives a channel these rules, unless one of them is looser than its rule pack.
    pub async fn set_rules(&self, channel: ChannelId, rules: Vec<Rule>, who: &str, at: Timestamp) -> std::result::Result<(), EditError> {
        let mut act = self.begin().await?;
        let row = channels::Entity::find_by_id(i64::from(channel.0)).one(&act.tx).await.map_err(failed("read the channel"))?;
        let row = row.ok_or(EditError::Unknown("channel"))?;
        let known = channel_of(row.clone())?;
        let pack = self.pack(&known.pack)?;
        risk::permit(pack, &measured(&known), &rules)?;
        let (before, after) = (words(&known.rules), words(&rules));
        let (about, mut change): (String, channels::ActiveModel) = (format!("{}/{}", row.gateway, row.tag), row.into());
        change.rules = Set(rules_text(&rules)?);
        change.update(&act.tx).await.map_err(failed("change a channel's limits"))?;
        let zh = format!("修改 {about} 的限值:由 [{before}] 改为 [{after}]");
        let en = format!("changed the limits of {about} from [{before}] to [{after}]");
        act.tell(at, &Fact::done("channel.limits_changed", who, about, zh, en)).await?;
        act.registry_changed = true;
        act.commit().await?;
        Ok(())
    }

    /// A rule pack by its id.
    pub(super) fn pack(&self, id: &str) -> Result<&risk::Pack> {
        self.packs.iter().find(|pack| pack.id == id).ok_or_else(|| unreadable("rule pack name", id))
    }
}

/// What a channel measures, as the rules ask for it.
pub(super) fn measured(channel: &Channel) -> risk::Measured<'_> {
    risk::Measured {
        quantity: &channel.quantity,
        unit: channel.unit,
        range: channel.range,
        lel_percent_vol: channel.lel_percent_vol,
        reference_celsius: channel.reference_celsius,
        location: None,
        own_health: channel.own_health,
    }
}

pub(super) fn rules_text(rules: &[Rule]) -> Result<String> {
    serde_json::to_string(rules).map_err(|error| unreadable("rule", error.to_string()))
}

fn words(rules: &[Rule]) -> String {
    let limits = rules.iter().filter_map(|rule| match &rule.what {
        alarm::RuleKind::Limit { limit, unit } => {
            Some(format!("{} {} {} ({})", rule.id, limit.setpoint, unit.symbol(), rule.priority.name()))
        }
        _ => None,
    });
    limits.collect::<Vec<_>>().join(", ")
}

/// The whole registry.
pub(super) async fn load(db: &impl ConnectionTrait) -> Result<Registry> {
    let read = failed("read the registry");
    let enterprises = enterprises::Entity::find().order_by_asc(enterprises::Column::Id).all(db).await.map_err(&read)?;
    let points = risk_points::Entity::find().order_by_asc(risk_points::Column::Id).all(db).await.map_err(&read)?;
    let channels = channels::Entity::find().order_by_asc(channels::Column::Id).all(db).await.map_err(&read)?;
    let gateways = gateways::Entity::find().order_by_asc(gateways::Column::Id).all(db).await.map_err(&read)?;
    let enterprise = |row: enterprises::Model| Enterprise {
        id: EnterpriseId(row.id),
        name: row.name,
        uscc: row.uscc,
        kind: row.kind,
        county: row.county,
        contact: row.contact,
        phone: row.phone,
    };
    let gateway = |row: gateways::Model| KnownGateway {
        id: row.id,
        name: row.name,
        enrolled_at: row.enrolled_at.map(Timestamp),
        simulated: row.simulated,
    };
    // A channel that its gateway no longer names is kept only while a point relies on it: its silence is an alarm.
    let relevant = channels.into_iter().filter(|row| row.present || row.point_id.is_some());
    Ok(Registry::new(
        enterprises.into_iter().map(enterprise).collect(),
        points.into_iter().map(point_of).collect::<Result<_>>()?,
        relevant.map(channel_of).collect::<Result<_>>()?,
        gateways.into_iter().map(gateway).collect(),
    ))
}

fn point_of(row: risk_points::Model) -> Result<RiskPoint> {
    Ok(RiskPoint {
        id: PointId(row.id),
        enterprise: EnterpriseId(row.enterprise_id),
        code: row.code,
        name: row.name,
        kind: row.kind,
        assessed: Level::from_name(&row.assessed).ok_or_else(|| unreadable("level", row.assessed))?,
        longitude: row.longitude,
        latitude: row.latitude,
        location: row.location,
        hazards: row.hazards,
        responsible: row.responsible,
        phone: row.phone,
        simulated: row.simulated,
    })
}

pub(super) fn channel_of(row: channels::Model) -> Result<Channel> {
    Ok(Channel {
        id: ChannelId(u32::try_from(row.id).map_err(|_| unreadable("channel number", row.id.to_string()))?),
        gateway: row.gateway,
        tag: row.tag,
        name: row.name,
        unit: Unit::from_symbol(&row.unit).ok_or_else(|| unreadable("unit", row.unit))?,
        quantity: row.quantity,
        period_ms: u32::try_from(row.period_ms).map_err(|_| unreadable("poll period", row.period_ms.to_string()))?,
        range: row.range_low.zip(row.range_high).map(|(low, high)| (low as f32, high as f32)),
        simulated: row.simulated,
        own_health: row.own_health,
        point: row.point_id.map(PointId),
        rules: serde_json::from_str(&row.rules).map_err(|error| unreadable("rule", error.to_string()))?,
        pack: row.pack,
        lel_percent_vol: row.lel_percent_vol.map(|base| base as f32),
        reference_celsius: row.reference_celsius.map(|celsius| celsius as f32),
    })
}
