//! The site file as it is written, before anything about it is checked.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    pub gateway: Spanned<String>,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub simulated: bool,
    #[serde(default)]
    pub clock_vouched: bool,
    pub broker: Broker,
    #[serde(default)]
    pub spool: Spool,
    pub status: Option<Status>,
    #[serde(default)]
    pub health: Health,
    pub dtu: Option<Dtu>,
    #[serde(default)]
    pub bus: Vec<Bus>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Broker {
    pub url: Spanned<String>,
    pub user: Option<String>,
    pub password: Option<String>,
    pub root: Option<String>,
    pub ca: Option<PathBuf>,
    pub certificate: Option<Spanned<PathBuf>>,
    pub key: Option<Spanned<PathBuf>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Spool {
    pub directory: String,
    pub capacity_mb: u64,
    pub group_ms: Spanned<u64>,
}

impl Default for Spool {
    fn default() -> Spool {
        Spool { directory: "spool".to_owned(), capacity_mb: 512, group_ms: Spanned::new(0..0, 200) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    pub listen: Spanned<SocketAddr>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    pub every_ms: Spanned<u64>,
}

impl Default for Health {
    fn default() -> Health {
        Health { every_ms: Spanned::new(0..0, 10_000) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dtu {
    pub listen: SocketAddr,
    #[serde(default)]
    pub heartbeat: String,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Workarounds {
    pub pause_after_connect: Option<Spanned<String>>,
    pub pause_between_requests: Option<Spanned<String>>,
    pub close_connection_after_gather: bool,
    pub one_request_per_field: bool,
    pub max_registers_per_request: Option<Spanned<u16>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bus {
    pub name: Spanned<String>,
    pub tcp: Option<Spanned<String>>,
    pub rtu_over_tcp: Option<Spanned<String>>,
    pub serial: Option<Spanned<String>>,
    pub dtu: Option<Spanned<String>>,
    #[serde(default = "baud")]
    pub baud: Spanned<u32>,
    #[serde(default)]
    pub parity: Parity,
    #[serde(default = "one")]
    pub stop_bits: Spanned<u8>,
    #[serde(default = "timeout")]
    pub timeout_ms: Spanned<u64>,
    #[serde(default)]
    pub workarounds: Workarounds,
    #[serde(default)]
    pub flat_out: bool,
    #[serde(default)]
    pub device: Vec<Device>,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub enum Parity {
    #[default]
    None,
    Even,
    Odd,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    pub name: Spanned<String>,
    pub unit: Spanned<u16>,
    pub profile: Spanned<String>,
    #[serde(default = "period")]
    pub period_ms: Spanned<u64>,
    #[serde(default)]
    pub settings_writable: bool,
    pub settings_hash: Option<Spanned<String>>,
    #[serde(default)]
    pub channel: Vec<Channel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    pub key: Spanned<String>,
    pub tag: Spanned<String>,
    #[serde(default)]
    pub name: String,
    pub quantity: String,
    pub unit: Spanned<String>,
    pub range: Option<Spanned<(f32, f32)>>,
    pub lel_percent_vol: Option<f32>,
    pub reference_celsius: Option<f32>,
    pub max_step: Option<Spanned<f32>>,
    #[serde(default)]
    pub limit: Vec<Spanned<Limit>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    pub high: Option<f32>,
    pub low: Option<f32>,
    pub release: Option<f32>,
}

fn baud() -> Spanned<u32> {
    Spanned::new(0..0, 9600)
}
fn one() -> Spanned<u8> {
    Spanned::new(0..0, 1)
}
fn timeout() -> Spanned<u64> {
    Spanned::new(0..0, 1000)
}
fn period() -> Spanned<u64> {
    Spanned::new(0..0, 5000)
}
