//! Current loops by maker: which currents are a measurement, and what each maker says with the others.
//!
//! NE 43 is what holds where nothing is known. Values are those a transmitter leaves the factory with; most can be changed on it, so
//! compare the table with the transmitter once it is mounted. `certain` is false where a current was not read in the maker's own
//! manual, or is a choice between two of the transmitter's settings. A stated current counts within 0.15 mA, which leaves room for a
//! shunt of 1 % and for the transmitter's own error; what lies between the stated ones is what NE 43 says of it.

use crate::conversion::{LoopBands, LoopState};

/// One transmitter's way to speak by current.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoopModel {
    /// Who makes it.
    pub maker: &'static str,
    /// Its model.
    pub model: &'static str,
    /// What its currents mean.
    pub bands: LoopBands,
    /// Where that was read.
    pub source: &'static str,
    /// False where something of it was not read in the maker's manual.
    pub certain: bool,
}

/// All that are known, NE 43 first.
pub const LOOP_MODELS: &[LoopModel] = &[
    LoopModel {
        maker: "NAMUR",
        model: "NE 43",
        bands: LoopBands::NE43,
        source: "NAMUR NE 43 (2003): 3.8 to 20.5 mA, 3.6 and 21 mA",
        certain: true,
    },
    LoopModel {
        maker: "Honeywell",
        model: "XNX",
        bands: LoopBands {
            states: &[
                (0.85, 1.15, LoopState::Failed),
                (1.85, 2.15, LoopState::Inhibited),
                // A warning: it still measures, but the current does not say what.
                (2.85, 3.15, LoopState::Failed),
                (20.85, 21.15, LoopState::OverRange),
            ],
            shorted_at: 21.5,
            ..LoopBands::NE43
        },
        source: "XNX technical manual 1.1.2, \
                 <https://www.manualshelf.com/manual/honeywell/xnx-universal-transmitter/technical-manual-english/page-13.html>; 2 mA \
                 is warm-up, inhibit and bump test alike",
        certain: true,
    },
    LoopModel {
        maker: "Honeywell",
        model: "Sensepoint XCD",
        bands: LoopBands {
            states: &[
                // A dead line reads the same as a fault, and is the graver news.
                (0.3, 1.0, LoopState::Failed),
                (1.85, 2.15, LoopState::Inhibited),
                (21.5, 22.5, LoopState::OverRange),
            ],
            shorted_at: 23.0,
            ..LoopBands::NE43
        },
        source: "Sensepoint XCD RFD technical manual 7, <https://www.easymanua.ls/honeywell/sensepoint-xcd-rfd/manual/1274226?p=21>; \
                 inhibit may be set to 4 mA on the device, and then cannot be told from clean air",
        certain: false,
    },
    LoopModel {
        maker: "Dräger",
        model: "Polytron 8000",
        bands: LoopBands {
            states: &[(0.3, 1.3, LoopState::Failed), (2.85, 3.15, LoopState::Failed), (3.25, 3.55, LoopState::Inhibited)],
            ..LoopBands::NE43
        },
        source: "Polytron 8000 series technical manual 17.2 and 15.3, \
                 <https://manualshive.com/en/manual/drager/polytron-8000-series/polytron-8000-series_technical-manual_2526576-82.html>: \
                 fault 1.2, warning 3.0 (off as delivered), maintenance 3.4 static; a dynamic maintenance signal (3 and 5 mA) must be \
                 switched to static",
        certain: true,
    },
    LoopModel {
        maker: "Dräger",
        model: "Polytron 7000",
        bands: LoopBands {
            states: &[(0.3, 3.2, LoopState::Failed), (3.25, 3.55, LoopState::WarmingUp)],
            shorted_at: 23.0,
            ..LoopBands::NE43
        },
        source: "Polytron 7000 manual, analogue signal, <https://www.easymanua.ls/drager/polytron-7000/manual?p=39>: 3.4 mA is \
                 maintenance and warm-up alike",
        certain: true,
    },
    LoopModel {
        maker: "MSA",
        model: "Ultima X",
        bands: LoopBands {
            states: &[(2.85, 3.15, LoopState::Failed), (3.7, 3.79, LoopState::Inhibited), (20.85, 21.15, LoopState::OverRange)],
            shorted_at: 22.5,
            ..LoopBands::NE43
        },
        source: "Ultima X series manual, operating states, <https://www.easymanua.ls/msa/ultima-x-series/manual?p=81>: 3.0 sensor \
                 missing or fault, 3.75 calibration, 21 over range; an oxygen version calibrates at 21 mA, which is told as over range \
                 here",
        certain: false,
    },
    LoopModel {
        maker: "Det-Tronics",
        model: "PointWatch Eclipse PIRECL (Eclipse fault mode)",
        bands: LoopBands {
            broken_at: 0.5,
            lowest: 2.4,
            states: &[(0.85, 1.15, LoopState::Failed), (1.85, 2.15, LoopState::Blocked)],
            ..LoopBands::NE43
        },
        source: "PIRECL manual 95-8676, table 3, \
                 <https://manualshive.com/ru/manual/det-tronics/pointwatch-eclipse-pirecl/2487441?page=19>: 2.4 to 20.5 mA are -10 to \
                 120 %; 1 mA is fault, warm-up and calibration alike",
        certain: true,
    },
    LoopModel {
        maker: "Spectrex",
        model: "SafEye Quasar 900",
        bands: LoopBands {
            states: &[(0.85, 1.15, LoopState::Failed), (1.85, 2.15, LoopState::Blocked), (2.35, 2.65, LoopState::Blocked)],
            ..LoopBands::NE43
        },
        source: "Quasar 900 user manual 3.1.3, \
                 <https://azmanual.top/manuals/370406/spectrex-quasar-900-open-path-gas-detection-system.html?page=26>: 2 beam blocked, \
                 2.5 misaligned, 1 fault or zero calibration; not the maker's own site",
        certain: false,
    },
];

/// The model of this name, as the table spells it.
pub fn loop_model(maker: &str, model: &str) -> Option<&'static LoopModel> {
    LOOP_MODELS.iter().find(|known| known.maker == maker && known.model == model)
}

#[cfg(test)]
mod tests;
