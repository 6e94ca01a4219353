//! Admitting gateways: a one-time code from an administrator becomes a gateway's own MQTT password.
//!
//! Codes are 10 symbols (50 bits), live 15 minutes and work once. A secret is 256 random bits; the database holds
//! only SHA-256 of codes and secrets, which is enough because neither can be guessed.

use measurement::Timestamp;
use rand::RngExt;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use sha2::{Digest, Sha256};

use super::entity::{enrolment_codes, gateways};
use super::{Act, Result, Store, StoreError, failed};
use crate::journal::Fact;

/// How long a code lives.
pub const CODE_LIFE_MS: i64 = 15 * 60 * 1000;

/// Without the symbols that people confuse: I, L, O, U.
const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A gateway's name: `[a-z0-9-]{1,32}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GatewayId(pub String);

/// A gateway as a person announces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGateway {
    pub name: String,
}

/// What a gateway signs in to the broker with. The password is shown this once.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A one-time code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentCode {
    pub code: String,
    pub expires_at: Timestamp,
}

/// Why a gateway was not admitted.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    #[error("the enrolment code is unknown, used or expired")]
    BadCode,
    #[error("{0:?} is no gateway id: 1 to 32 of a-z, 0-9 and -")]
    BadGateway(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Makes a code that admits one gateway.
    pub async fn new_enrolment_code(&self, new: &NewGateway, at: Timestamp, by: &str) -> Result<EnrolmentCode> {
        let code = random_code();
        let expires_at = at.plus_ms(CODE_LIFE_MS);
        let mut act = self.begin().await?;
        let row = enrolment_codes::ActiveModel {
            code_hash: Set(digest(&plain(&code))),
            name: Set(new.name.clone()),
            created_at: Set(at.0),
            created_by: Set(by.to_owned()),
            expires_at: Set(expires_at.0),
            used_at: Set(None),
            used_by: Set(None),
        };
        enrolment_codes::Entity::insert(row).exec_without_returning(&act.tx).await.map_err(failed("keep an enrolment code"))?;
        let fact = Fact::done(
            "gateway.code_made",
            by,
            "gateway",
            format!("为网关“{}”生成一次性接入码", new.name),
            format!("made a one-time enrolment code for the gateway “{}”", new.name),
        );
        act.tell(at, &fact).await?;
        act.commit().await?;
        Ok(EnrolmentCode { code, expires_at })
    }

    /// Spends a code and admits a gateway under this id. An id that was admitted before gets a new secret; the
    /// old one is dead from then on.
    pub async fn enrol(&self, code: &str, gateway: &str, at: Timestamp) -> std::result::Result<Credentials, EnrolError> {
        if !is_gateway_id(gateway) {
            return Err(EnrolError::BadGateway(gateway.to_owned()));
        }
        let mut act = self.begin().await?;
        let hash = digest(&plain(code));
        // One statement finds the code unused and uses it up, so two racing gateways cannot both have it.
        let spend = enrolment_codes::Entity::update_many()
            .col_expr(enrolment_codes::Column::UsedAt, Expr::value(at.0))
            .col_expr(enrolment_codes::Column::UsedBy, Expr::value(gateway))
            .filter(enrolment_codes::Column::CodeHash.eq(&hash))
            .filter(enrolment_codes::Column::UsedAt.is_null())
            .filter(enrolment_codes::Column::ExpiresAt.gt(at.0));
        let spent = spend.exec(&act.tx).await.map_err(failed("spend an enrolment code"))?;
        if spent.rows_affected != 1 {
            return Err(EnrolError::BadCode);
        }
        let made = enrolment_codes::Entity::find_by_id(hash).one(&act.tx).await.map_err(failed("read an enrolment code"))?;
        let (name, by) = made.map(|row| (row.name, row.created_by)).unwrap_or_default();
        let credentials = admit(&mut act, gateway, &name, &by, at).await?;
        act.commit().await?;
        Ok(credentials)
    }

    /// Admits a gateway without a code: for the simulated site and for a person at the console.
    pub async fn admit_gateway(&self, gateway: &str, name: &str, by: &str, at: Timestamp) -> std::result::Result<Credentials, EnrolError> {
        if !is_gateway_id(gateway) {
            return Err(EnrolError::BadGateway(gateway.to_owned()));
        }
        let mut act = self.begin().await?;
        let credentials = admit(&mut act, gateway, name, by, at).await?;
        act.commit().await?;
        Ok(credentials)
    }

    /// The hash of a gateway's secret; none when it was never admitted.
    pub async fn gateway_secret(&self, gateway: &str) -> Result<Option<String>> {
        let row = gateways::Entity::find_by_id(gateway).one(&self.read).await.map_err(failed("read the gateway"))?;
        Ok(row.and_then(|row| row.secret_hash))
    }

    /// The gateway that these credentials are, if any: for the broker's connect check.
    pub async fn authenticate_gateway(&self, user: &str, password: &str) -> Result<Option<GatewayId>> {
        let known = self.gateway_secret(user).await?;
        let given = digest(password);
        // Comparing hashes of a 256-bit secret: what time tells about a hash helps nobody to the secret.
        Ok(known.is_some_and(|known| known == given).then(|| GatewayId(user.to_owned())))
    }
}

async fn admit(act: &mut Act, gateway: &str, name: &str, by: &str, at: Timestamp) -> Result<Credentials> {
    let secret: [u8; 32] = rand::rng().random();
    let password: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let row = gateways::ActiveModel {
        id: Set(gateway.to_owned()),
        name: Set(if name.is_empty() { gateway.to_owned() } else { name.to_owned() }),
        secret_hash: Set(Some(digest(&password))),
        enrolled_at: Set(Some(at.0)),
        catalogue: Set(None),
        site: Set(String::new()),
        simulated: Set(false),
    };
    let anew = OnConflict::column(gateways::Column::Id)
        .update_columns([gateways::Column::Name, gateways::Column::SecretHash, gateways::Column::EnrolledAt])
        .to_owned();
    gateways::Entity::insert(row).on_conflict(anew).exec_without_returning(&act.tx).await.map_err(failed("admit a gateway"))?;
    act.tell(at, &Fact::done("gateway.admitted", by, gateway, format!("网关 {gateway} 接入"), format!("admitted the gateway {gateway}")))
        .await?;
    act.registry_changed = true;
    Ok(Credentials { user: gateway.to_owned(), password })
}

/// True for `[a-z0-9-]{1,32}`.
pub(crate) fn is_gateway_id(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// SHA-256 in hexadecimal.
pub(crate) fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn random_code() -> String {
    let bytes: [u8; 10] = rand::rng().random();
    let symbol = |byte: &u8| char::from(SYMBOLS[usize::from(byte & 31)]);
    let text: String = bytes.iter().map(symbol).collect();
    format!("{}-{}", &text[..5], &text[5..])
}

/// A code as people may type it: any case, with or without the dash and spaces.
fn plain(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).map(|symbol| symbol.to_ascii_uppercase()).collect()
}
