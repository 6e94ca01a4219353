//! The air of a plant: confined spaces in which gases leak in, mix at once and are blown out.
//!
//! One well-mixed volume a space. A leak adds gas, ventilation exchanges air with the outside, and every
//! litre of gas that comes in pushes a litre of air out, so a methane leak is also an oxygen shortage:
//! the sensors of one space agree with each other the way real ones do. Pure: time comes in as seconds.

/// A gas that can leak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Gas {
    Methane,
    HydrogenSulphide,
    CarbonMonoxide,
    CarbonDioxide,
}

impl Gas {
    /// Every gas.
    pub const ALL: [Gas; 4] = [Gas::Methane, Gas::HydrogenSulphide, Gas::CarbonMonoxide, Gas::CarbonDioxide];

    /// Volume fraction in clean outside air.
    fn outside(self) -> f64 {
        match self {
            Gas::CarbonDioxide => 420e-6,
            _ => 0.0,
        }
    }
}

/// Oxygen in clean air, volume fraction.
const OXYGEN_OUTSIDE: f64 = 0.209;

/// One confined space, or one stretch of a roadway.
#[derive(Debug, Clone)]
pub struct Space {
    volume_m3: f64,
    /// Air exchanged with the outside, m3/s.
    ventilation_m3_s: f64,
    /// Gas coming in, m3/s, in the order of [`Gas::ALL`].
    leaks_m3_s: [f64; 4],
    /// Oxygen eaten by rust or fermentation, m3/s.
    oxygen_consumed_m3_s: f64,
    gases: [f64; 4],
    oxygen: f64,
    celsius: f64,
}

impl Space {
    /// A space full of clean air.
    pub fn new(volume_m3: f64, ventilation_m3_s: f64, celsius: f64) -> Space {
        Space {
            volume_m3,
            ventilation_m3_s,
            leaks_m3_s: [0.0; 4],
            oxygen_consumed_m3_s: 0.0,
            gases: Gas::ALL.map(Gas::outside),
            oxygen: OXYGEN_OUTSIDE,
            celsius,
        }
    }

    /// Sets how much of a gas comes in, m3/s.
    pub fn leak(&mut self, gas: Gas, m3_s: f64) {
        self.leaks_m3_s[gas as usize] = m3_s;
    }

    /// Sets how much oxygen is eaten, m3/s.
    pub fn consume_oxygen(&mut self, m3_s: f64) {
        self.oxygen_consumed_m3_s = m3_s;
    }

    /// Sets the air exchange, m3/s.
    pub fn ventilate(&mut self, m3_s: f64) {
        self.ventilation_m3_s = m3_s;
    }

    /// Lets time pass, in steps short enough for the fastest exchange.
    pub fn advance(&mut self, seconds: f64) {
        let fastest = (self.ventilation_m3_s + self.leaks_m3_s.iter().sum::<f64>()) / self.volume_m3;
        let steps = (seconds * fastest * 10.0).ceil().clamp(1.0, 1000.0);
        for _ in 0..steps as u32 {
            self.step(seconds / steps);
        }
    }

    fn step(&mut self, seconds: f64) {
        let inflow: f64 = self.leaks_m3_s.iter().sum();
        let exchange = self.ventilation_m3_s / self.volume_m3;
        let displaced = inflow / self.volume_m3;
        for (i, gas) in Gas::ALL.into_iter().enumerate() {
            let c = self.gases[i];
            let change = self.leaks_m3_s[i] / self.volume_m3 - displaced * c + exchange * (gas.outside() - c);
            self.gases[i] = (c + change * seconds).clamp(0.0, 1.0);
        }
        let change = exchange * (OXYGEN_OUTSIDE - self.oxygen) - displaced * self.oxygen - self.oxygen_consumed_m3_s / self.volume_m3;
        self.oxygen = (self.oxygen + change * seconds).clamp(0.0, 1.0);
    }

    /// Volume fraction of a gas, 0 to 1.
    pub fn fraction(&self, gas: Gas) -> f64 {
        self.gases[gas as usize]
    }

    /// Volume fraction of oxygen, 0 to 1.
    pub fn oxygen(&self) -> f64 {
        self.oxygen
    }

    /// Air temperature.
    pub fn celsius(&self) -> f64 {
        self.celsius
    }

    /// Mean air velocity through a cross-section, m/s.
    pub fn velocity(&self, section_m2: f64) -> f64 {
        self.ventilation_m3_s / section_m2
    }
}

#[cfg(test)]
mod tests;
