//! Gateways, their ledger and their enrolment.

use std::sync::{Mutex, PoisonError};

use axum::Json;
use axum::extract::State;
use measurement::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::body::{Asked, Body};
use super::caller::{Address, Caller};
use super::error::{Answer, ApiError, Refusal};
use super::points::check_texts;
use super::shapes::{Gateway, LedgerDay};
use crate::journal::Fact;
use crate::store::{EnrolError, NewGateway, day_of};

/// So many wrong codes a minute are answered, from everybody together: against 2^50 codes that live a quarter
/// of an hour, guessing is hopeless.
const WRONG_CODES_A_MINUTE: u32 = 10;

#[derive(Deserialize, IntoParams)]
pub struct LedgerQuery {
    /// `2026-11-24`, a day in China (UTC+8); today when left out.
    pub day: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentForm {
    /// What people will call the gateway.
    pub name: String,
}

#[derive(Serialize, ToSchema)]
pub struct EnrolmentNow {
    /// Works once.
    pub code: String,
    pub expires_at: i64,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolForm {
    pub code: String,
    /// `[a-z0-9-]{1,32}`.
    pub gateway: String,
}

/// Where and as whom a gateway delivers. The password is shown this once.
#[derive(Serialize, ToSchema)]
pub struct Admission {
    pub url: String,
    pub user: String,
    pub password: String,
    pub root: String,
}

/// How many wrong codes were given in the present minute.
#[derive(Debug, Default)]
pub struct EnrolTries(Mutex<(i64, u32)>);

impl EnrolTries {
    /// Whether another code may be tried now, or in how many seconds.
    fn try_now(&self, now: Timestamp) -> Result<(), u64> {
        let tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (minute, wrong) = *tries;
        if minute != now.0.div_euclid(60_000) || wrong < WRONG_CODES_A_MINUTE {
            return Ok(());
        }
        Err(u64::try_from(60 - now.0.rem_euclid(60_000) / 1000).unwrap_or(60))
    }

    fn wrong(&self, now: Timestamp) -> u32 {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now.0.div_euclid(60_000);
        *tries = if tries.0 == minute { (minute, tries.1.saturating_add(1)) } else { (minute, 1) };
        tries.1
    }
}

/// Every gateway the caller sees, heard or admitted.
#[utoipa::path(get, path = "/api/v1/gateways", tag = "gateways", responses((status = 200, body = [Gateway])))]
pub async fn gateways(State(state): State<ApiState>, caller: Caller) -> Json<Vec<Gateway>> {
    let registry = state.store.registry();
    let heard = state.live.gateways();
    let never_heard = registry.gateways.iter().filter(|known| !heard.iter().any(|one| one.id == known.id)).map(|known| Gateway {
        id: known.id.clone(),
        name: known.name.clone(),
        online: false,
        last_heard: None,
        epoch: None,
        clock: "untrusted",
        unacknowledged: 0,
        spool_bytes: 0,
        spool_capacity: 0,
        degraded: false,
        channels: registry.channels_on(&known.id).count(),
        enrolled_at: known.enrolled_at.map(|at| at.0),
        simulated: known.simulated,
    });
    let never_heard: Vec<Gateway> = never_heard.collect();
    let mut all: Vec<Gateway> = heard.into_iter().chain(never_heard).filter(|one| caller.sees_gateway(&registry, &one.id)).collect();
    all.sort_by(|one, other| one.id.cmp(&other.id));
    Json(all)
}

/// The no-loss ledger of a day.
#[utoipa::path(get, path = "/api/v1/ledger", tag = "gateways", params(LedgerQuery), responses((status = 200, body = [LedgerDay]), (status = 422, body = Refusal)))]
pub async fn ledger(State(state): State<ApiState>, caller: Caller, Asked(query): Asked<LedgerQuery>) -> Answer<Json<Vec<LedgerDay>>> {
    let day = query.day.unwrap_or_else(|| day_of(state.now()));
    let is_date =
        day.len() == 10 && day.bytes().enumerate().all(|(at, byte)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() });
    if !is_date {
        return Err(ApiError::invalid("day 须形如 2026-11-24", "day looks like 2026-11-24"));
    }
    let registry = state.store.registry();
    let rows = state.store.ledger_day(&day).await?;
    let seen = rows.into_iter().filter(|row| caller.sees_gateway(&registry, &row.gateway));
    Ok(Json(
        seen.map(|row| LedgerDay {
            open: row.open(),
            gateway: row.gateway,
            day: row.day,
            expected: row.expected,
            stored: row.stored,
            gaps: row.gaps,
        })
        .collect(),
    ))
}

/// Make a one-time code that admits one gateway.
#[utoipa::path(post, path = "/api/v1/gateways/enrolments", tag = "gateways", request_body = EnrolmentForm, responses((status = 200, body = EnrolmentNow), (status = 422, body = Refusal)))]
pub async fn new_code(State(state): State<ApiState>, caller: Caller, Body(form): Body<EnrolmentForm>) -> Answer<Json<EnrolmentNow>> {
    check_texts(&[("name", &form.name, true)])?;
    let code = state.store.new_enrolment_code(&NewGateway { name: form.name }, state.now(), &caller.user.account).await?;
    Ok(Json(EnrolmentNow { code: code.code, expires_at: code.expires_at.0 }))
}

/// A gateway spends its code. Needs no session.
#[utoipa::path(post, path = "/api/v1/enrol", tag = "gateways", request_body = EnrolForm,
    responses((status = 200, body = Admission), (status = 403, body = Refusal), (status = 422, body = Refusal), (status = 429, body = Refusal)))]
pub async fn enrol(State(state): State<ApiState>, address: Address, Body(form): Body<EnrolForm>) -> Answer<Json<Admission>> {
    let now = state.now();
    state.enrol_tries.try_now(now).map_err(ApiError::too_many)?;
    match state.store.enrol(&form.code, &form.gateway, now).await {
        Ok(credentials) => Ok(Json(Admission {
            url: state.config.mqtt_url.clone(),
            user: credentials.user,
            password: credentials.password,
            root: state.config.mqtt_root.clone(),
        })),
        Err(EnrolError::BadCode) => {
            if state.enrol_tries.wrong(now) == WRONG_CODES_A_MINUTE {
                let from = address.text();
                let fact = Fact::seen(
                    "gateway.codes_guessed",
                    "gateway",
                    format!("一分钟内多次错误的接入码,最近来自 {from}"),
                    format!("many wrong enrolment codes within a minute, the last from {from}"),
                );
                state.store.journal(now, &fact).await?;
            }
            Err(EnrolError::BadCode.into())
        }
        Err(error) => Err(error.into()),
    }
}
