//! What the collector is told in its settings file (TOML). Unknown keys are refused; a mistake is one sentence
//! with file, line and what would be right.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The whole file. Everything has a default, so an empty file is a collector on this machine only.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where everything that must survive lies.
    pub data_dir: PathBuf,
    /// The pages and the API.
    pub http: HttpConfig,
    /// Where gateways deliver.
    pub mqtt: MqttConfig,
    /// `sqlite://path` or `postgres://…`; by default a SQLite file in `data_dir`.
    pub database: Option<String>,
    /// The map.
    pub map: MapConfig,
    /// True for a demonstration: SIMULATED stands over everything.
    pub simulated: bool,
    /// The time series.
    pub series: SeriesConfig,
}

/// The pages and the API.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
}

/// Where gateways deliver.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MqttConfig {
    /// The broker inside, or one outside.
    pub mode: MqttMode,
    /// Embedded: where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// External: `mqtt://host:port`.
    pub url: String,
    /// External: whom we sign in as.
    pub user: String,
    /// External: with which password.
    pub password: String,
    /// Topic root; it carries the protocol version.
    pub root: String,
}

/// The broker inside, or one outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MqttMode {
    /// rmqtt, inside this process.
    Embedded,
    /// Any MQTT 3.1.1 broker.
    External,
}

/// The map.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MapConfig {
    /// A GeoJSON file with boundaries to draw.
    pub boundaries: Option<PathBuf>,
}

/// The time series.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SeriesConfig {
    /// Days that raw readings are kept; extremes stay.
    pub keep_raw_days: u32,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            data_dir: PathBuf::from("davy-data"),
            http: HttpConfig::default(),
            mqtt: MqttConfig::default(),
            database: None,
            map: MapConfig::default(),
            simulated: false,
            series: SeriesConfig::default(),
        }
    }
}

impl Default for HttpConfig {
    fn default() -> HttpConfig {
        HttpConfig { listen: local(8080) }
    }
}

impl Default for MqttConfig {
    fn default() -> MqttConfig {
        MqttConfig {
            mode: MqttMode::Embedded,
            listen: local(1883),
            url: String::new(),
            user: String::new(),
            password: String::new(),
            root: telemetry::topic::DEFAULT_ROOT.to_owned(),
        }
    }
}

impl Default for SeriesConfig {
    fn default() -> SeriesConfig {
        // One year: the longest raw retention that the coal rules ask for (domain facts, storage).
        SeriesConfig { keep_raw_days: 366 }
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}

/// Why a settings file was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the settings file {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("settings file {path}, line {line}: {what}")]
    Parse { path: PathBuf, line: usize, what: String },
    #[error("settings file {path}: {what}")]
    Wrong { path: PathBuf, what: String },
}

impl Config {
    /// Reads and checks a settings file.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Config::parse(path, &text)
    }

    /// Checks the text of a settings file; `path` is only for the error.
    pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
        let config: Config = toml::from_str(text).map_err(|error| {
            let before = error.span().map_or(0, |span| span.start).min(text.len());
            let line = text.as_bytes()[..before].iter().filter(|byte| **byte == b'\n').count() + 1;
            ConfigError::Parse { path: path.to_owned(), line, what: error.message().to_owned() }
        })?;
        config.check().map_err(|what| ConfigError::Wrong { path: path.to_owned(), what })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let mqtt = &self.mqtt;
        if mqtt.root.is_empty() || mqtt.root.contains(['#', '+', '\0']) || mqtt.root.ends_with('/') || mqtt.root.starts_with('/') {
            return Err(format!("mqtt.root {:?} must be topic levels without wildcards, for example \"davy/v1\"", mqtt.root));
        }
        if mqtt.mode == MqttMode::External && broker_address(&mqtt.url).is_none() {
            return Err(format!("mqtt.url {:?} must look like \"mqtt://host:1883\" when mqtt.mode is \"external\"", mqtt.url));
        }
        match self.database.as_deref() {
            Some(url) if !url.starts_with("sqlite:") && !url.starts_with("postgres://") && !url.starts_with("postgresql://") => {
                Err("database must start with \"sqlite://\" or \"postgres://\"".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// The database's URL, given or by default.
    pub fn database_url(&self) -> String {
        self.database.clone().unwrap_or_else(|| format!("sqlite://{}", self.data_dir.join("davy.sqlite").display()))
    }

    /// Where the time series lies.
    pub fn series_dir(&self) -> PathBuf {
        self.data_dir.join("series")
    }
}

/// Host and port of `mqtt://host[:port]`.
pub fn broker_address(url: &str) -> Option<(String, u16)> {
    let rest = url.strip_prefix("mqtt://").or_else(|| url.strip_prefix("tcp://"))?.trim_end_matches('/');
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (rest, 1883),
    };
    (!host.is_empty() && !host.contains(['/', '@'])).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let error = Config::parse(Path::new("davy.toml"), text).expect_err("it must be refused");
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn an_empty_file_is_a_collector_on_this_machine_only() {
        let config = Config::parse(Path::new("davy.toml"), "").expect("defaults");
        assert!(config.http.listen.ip().is_loopback() && config.mqtt.listen.ip().is_loopback());
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        refused("simulated = true\n\n[http]\nlisen = \"127.0.0.1:80\"\n", "davy.toml, line 4: unknown field `lisen`");
    }

    #[test]
    fn an_external_broker_needs_an_address() {
        refused("[mqtt]\nmode = \"external\"\n", "must look like \"mqtt://host:1883\"");
    }

    #[test]
    fn a_root_with_a_wildcard_is_refused() {
        refused("[mqtt]\nroot = \"davy/+\"\n", "without wildcards");
    }

    #[test]
    fn a_password_in_a_wrong_database_url_is_not_repeated() {
        let error = Config::parse(Path::new("davy.toml"), "database = \"mysql://root:secret@x/y\"").expect_err("refused");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
