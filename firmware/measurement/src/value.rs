//! A number that is always finite.

/// A finite number in its channel's unit. NaN and the infinities cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Value(f32);

impl Value {
    /// Zero, for places where a start value is needed.
    pub const ZERO: Value = Value(0.0);

    /// The value, or `None` when the number is NaN or infinite. Negative zero becomes zero, so equal
    /// values have equal bytes.
    pub const fn new(number: f32) -> Option<Value> {
        if !number.is_finite() {
            None
        } else if number == 0.0 {
            Some(Value(0.0))
        } else {
            Some(Value(number))
        }
    }

    /// The number itself, finite by construction.
    pub const fn get(self) -> f32 {
        self.0
    }

    /// The larger of two values.
    pub fn max(self, other: Value) -> Value {
        if self.0 >= other.0 { self } else { other }
    }

    /// The smaller of two values.
    pub fn min(self, other: Value) -> Value {
        if self.0 <= other.0 { self } else { other }
    }
}

impl core::fmt::Display for Value {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}
