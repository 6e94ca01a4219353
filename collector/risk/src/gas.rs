//! The gases we know, as data (`collector/rule-packs/gases.toml`): molar mass and lower explosive limit.

use measurement::{Conversion, Gas};
use serde::Deserialize;
use std::sync::LazyLock;

const SHIPPED: &str = include_str!("../../rule-packs/gases.toml");

/// Reference temperature of mg/m3 where nobody says otherwise: that of GBZ 2.1.
pub const GBZ_CELSIUS: f32 = 20.0;

/// One gas.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GasRow {
    /// As catalogues and rule packs write it.
    pub quantity: String,
    /// Chinese name.
    pub zh: String,
    /// English name.
    pub en: String,
    /// g/mol.
    pub molar_mass: f32,
    /// %vol, for gases that burn.
    pub lel_percent_vol: Option<f32>,
    /// Where the lower explosive limit comes from.
    pub lel_source: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    gas: Vec<GasRow>,
}

static TABLE: LazyLock<Vec<GasRow>> = LazyLock::new(|| {
    // Compiled in and parsed by a test; an unreadable table would leave every point unguarded.
    toml::from_str::<Table>(SHIPPED).map(|table| table.gas).unwrap_or_default()
});

/// Every gas we know.
pub fn all() -> &'static [GasRow] {
    &TABLE
}

/// The gas with this name, whatever its case.
pub fn find(quantity: &str) -> Option<&'static GasRow> {
    all().iter().find(|gas| gas.quantity.eq_ignore_ascii_case(quantity))
}

/// True when people breathe or could burn in it.
pub fn is_gas(quantity: &str) -> bool {
    find(quantity).is_some()
}

/// The conversion for a gas on a channel with this LEL base and reference temperature.
pub fn conversion(quantity: &str, lel_percent_vol: Option<f32>, reference_celsius: Option<f32>) -> Option<Conversion> {
    let gas = find(quantity)?;
    Some(Conversion {
        gas: Gas { molar_mass: gas.molar_mass, lel_percent_vol: lel_percent_vol.or(gas.lel_percent_vol) },
        reference_celsius: reference_celsius.unwrap_or(GBZ_CELSIUS),
    })
}
