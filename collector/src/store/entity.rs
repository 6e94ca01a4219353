//! The tables as sea-orm sees them. What each column means is said in `migration.rs`, which makes them.

macro_rules! table {
    ($module:ident = $name:tt { $($(#[$mark:meta])* $field:ident: $kind:ty,)+ }) => {
        pub mod $module {
            use sea_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
            #[sea_orm(table_name = $name)]
            pub struct Model { $($(#[$mark])* pub $field: $kind,)+ }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}
        }
    };
}

table!(enterprises = "enterprises" {
    #[sea_orm(primary_key)] id: i64,
    name: String,
    uscc: String,
    kind: String,
    county: String,
    contact: String,
    phone: String,
});

table!(risk_points = "risk_points" {
    #[sea_orm(primary_key)] id: i64,
    enterprise_id: i64,
    code: String,
    name: String,
    kind: String,
    assessed: String,
    longitude: Option<f64>,
    latitude: Option<f64>,
    location: String,
    hazards: String,
    responsible: String,
    phone: String,
    simulated: bool,
});

table!(gateways = "gateways" {
    #[sea_orm(primary_key, auto_increment = false)] id: String,
    name: String,
    secret_hash: Option<String>,
    enrolled_at: Option<i64>,
    catalogue: Option<String>,
    site: String,
    simulated: bool,
});

table!(channels = "channels" {
    #[sea_orm(primary_key)] id: i64,
    gateway: String,
    tag: String,
    name: String,
    unit: String,
    quantity: String,
    period_ms: i64,
    range_low: Option<f64>,
    range_high: Option<f64>,
    lel_percent_vol: Option<f64>,
    reference_celsius: Option<f64>,
    simulated: bool,
    own_health: bool,
    present: bool,
    point_id: Option<i64>,
    pack: String,
    rules: String,
});

table!(enrolment_codes = "enrolment_codes" {
    #[sea_orm(primary_key, auto_increment = false)] code_hash: String,
    name: String,
    created_at: i64,
    created_by: String,
    expires_at: i64,
    used_at: Option<i64>,
    used_by: Option<String>,
});

table!(episodes = "episodes" {
    #[sea_orm(primary_key, auto_increment = false)] id: String,
    channel_id: Option<i64>,
    point_id: Option<i64>,
    gateway: String,
    kind: String,
    priority: i64,
    state: String,
    is_open: bool,
    opened_at: i64,
    body: String,
});

table!(transitions = "transitions" {
    #[sea_orm(primary_key)] number: i64,
    episode: String,
    at: i64,
    event: String,
    cause: String,
    who: Option<String>,
    note: Option<String>,
});

table!(journal = "journal" {
    #[sea_orm(primary_key, auto_increment = false)] number: i64,
    at: i64,
    kind: String,
    about: String,
    who: String,
    text_zh: String,
    text_en: String,
    hash: String,
});

table!(outbox = "outbox" {
    #[sea_orm(primary_key)] number: i64,
    endpoint_id: i64,
    key: String,
    episode: String,
    stage: String,
    priority: i64,
    body: String,
    created_at: i64,
    attempts: i64,
    accepted_at: Option<i64>,
    told_late: bool,
    last_error: Option<String>,
});

table!(webhooks = "webhooks" {
    #[sea_orm(primary_key)] id: i64,
    name: String,
    url: String,
    enabled: bool,
    min_priority: i64,
    removed: bool,
});

table!(users = "users" {
    #[sea_orm(primary_key, auto_increment = false)] account: String,
    name: String,
    role: String,
    enterprise_id: Option<i64>,
    password_hash: String,
    must_change: bool,
    created_at: i64,
});

table!(sessions = "sessions" {
    #[sea_orm(primary_key, auto_increment = false)] token_hash: String,
    account: String,
    created_at: i64,
    last_seen: i64,
});

table!(ledger = "ledger" {
    #[sea_orm(primary_key, auto_increment = false)] gateway: String,
    #[sea_orm(primary_key, auto_increment = false)] day: String,
    expected: i64,
    stored: i64,
});

table!(ledger_gaps = "ledger_gaps" {
    #[sea_orm(primary_key, auto_increment = false)] gateway: String,
    #[sea_orm(primary_key, auto_increment = false)] day: String,
    #[sea_orm(primary_key, auto_increment = false)] cause: String,
    entries: i64,
});

table!(gaps = "gaps" {
    #[sea_orm(primary_key, auto_increment = false)] gateway: String,
    #[sea_orm(primary_key, auto_increment = false)] epoch: String,
    #[sea_orm(primary_key, auto_increment = false)] first: i64,
    #[sea_orm(primary_key, auto_increment = false)] last: i64,
    cause: String,
    lost: i64,
    at: i64,
});

table!(state = "state" {
    #[sea_orm(primary_key, auto_increment = false)] name: String,
    value: String,
});
