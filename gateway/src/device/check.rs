//! What is wrong with a profile that parses: one sentence, before anything is asked by it.

use measurement::Unit;

use super::read::number_written;
use super::{Condition, Kind, MOST_REGISTERS, Profile, Register, SerialForm, UNITS, Value};

impl Profile {
    pub(super) fn check(&self) -> Result<(), String> {
        if !(2..=MOST_REGISTERS).contains(&self.most_registers) {
            return Err(format!("most_registers {} must lie between 2 and {MOST_REGISTERS}", self.most_registers));
        }
        for (place, register) in self.registers.iter().enumerate() {
            register.check()?;
            if self.registers[..place].iter().any(|other| other.key == register.key) {
                return Err(format!("register {:?} is there twice", register.key));
            }
        }
        for (place, value) in self.values.iter().enumerate() {
            self.check_value(value)?;
            if self.values[..place].iter().any(|other| other.key == value.key && other.when.is_none()) {
                return Err(format!("value {:?} is there twice; only the last of several may be without `when`", value.key));
            }
        }
        for status in &self.statuses {
            let whose = format!("the status of register {:?}", status.condition.register);
            self.check_condition(&whose, &status.condition)?;
            status.when.iter().try_for_each(|when| self.check_condition(&whose, when))?;
            if let Some(key) = status.value.as_deref().filter(|key| !self.has(key)) {
                return Err(format!("{whose} speaks of the value {key:?}, which is not there"));
            }
        }
        for identity in &self.identities {
            self.numeric("the identity", &identity.register)?;
            if identity.equals.is_empty() {
                return Err(format!("the identity register {:?} needs at least one number in `equals`", identity.register));
            }
        }
        if let Some(serial) = &self.serial {
            if serial.registers.is_empty() {
                return Err("the serial number needs at least one register".to_owned());
            }
            let mut bits = 0;
            for key in &serial.registers {
                let register = self.there("the serial number", key)?;
                let is_text = register.kind == Kind::Text4;
                let is_whole = matches!(register.kind, Kind::U16 | Kind::U32 | Kind::U8hi | Kind::U8lo);
                if is_text != (serial.form == SerialForm::Text) || !is_text && !is_whole {
                    return Err(format!(
                        "the serial number is made of text4 registers as \"text\", or of u16, u32, u8hi and u8lo; {key:?} is {:?}",
                        register.kind
                    ));
                }
                bits += if is_text { 0 } else { register.width() };
            }
            if bits > 64 {
                return Err(format!("a serial number of {bits} bits is too long for a number; 64 are the most"));
            }
        }
        if let Some(heartbeat) = &self.heartbeat {
            self.numeric("the heartbeat", &heartbeat.register)?;
            if heartbeat.still_s == 0 {
                return Err("the heartbeat's still_s must be at least 1".to_owned());
            }
        }
        Ok(())
    }

    fn check_value(&self, value: &Value) -> Result<(), String> {
        let whose = format!("value {:?}", value.key);
        let also = value.combine.iter().map(|combine| combine.register.as_str()).chain(value.decimals.as_deref());
        for key in std::iter::once(value.register.as_str()).chain(also) {
            self.numeric(&whose, key)?;
        }
        let factors = [value.scale, value.combine.as_ref().map_or(1.0, |combine| combine.scale)];
        if factors.iter().any(|scale| !scale.is_finite() || *scale == 0.0) || !value.offset.is_finite() {
            return Err(format!("{whose} needs a scale that is finite and not 0, and a finite offset"));
        }
        value.when.iter().try_for_each(|when| self.check_condition(&whose, when))?;
        let Some(from) = &value.unit_from else { return Ok(()) };
        if value.unit.is_some() {
            return Err(format!("{whose} needs one of unit and unit_from, not both"));
        }
        let register = self.there(&whose, &from.register)?;
        for (said, symbol) in &from.symbols {
            if register.kind != Kind::Text4 && number_written(said).is_none() {
                return Err(format!("{whose}: unit_from says {said:?} where register {:?} holds a number", register.key));
            }
            if !symbol.is_empty() && Unit::from_symbol(symbol).is_none() {
                return Err(format!("{whose}: {symbol:?} is not a unit; {UNITS}"));
            }
        }
        Ok(())
    }

    fn check_condition(&self, whose: &str, condition: &Condition) -> Result<(), String> {
        let register = self.numeric(whose, &condition.register)?;
        condition.above.iter().try_for_each(|other| self.numeric(whose, other).map(|_| ()))?;
        let Condition { equals, between, bit, clear, above, .. } = condition;
        if equals.is_empty() && between.is_none() && bit.is_none() && clear.is_none() && above.is_none() {
            return Err(format!("{whose} needs one of equals, between, bit, clear and above, or it would never hold"));
        }
        if between.is_some_and(|(low, high)| low > high) {
            return Err(format!("{whose}: between needs its lower number first"));
        }
        for bit in bit.iter().chain(clear) {
            let bits = register
                .bits()
                .ok_or_else(|| format!("{whose}: a {:?} register has no bits to test; read it as u16 or u32", register.kind))?;
            if *bit >= bits {
                return Err(format!("{whose}: bit {bit} does not exist; register {:?} has bits 0 to {}", register.key, bits - 1));
            }
        }
        Ok(())
    }

    fn there(&self, whose: &str, key: &str) -> Result<&Register, String> {
        self.register(key).ok_or_else(|| format!("{whose} names the register {key:?}, which is not there"))
    }

    fn numeric(&self, whose: &str, key: &str) -> Result<&Register, String> {
        let register = self.there(whose, key)?;
        if register.kind == Kind::Text4 {
            return Err(format!("{whose} needs a number, and register {key:?} is text; text is only for unit_from and serial"));
        }
        Ok(register)
    }
}

impl Register {
    fn check(&self) -> Result<(), String> {
        let key = &self.key;
        if !(1..=4).contains(&self.function) {
            return Err(format!("register {key:?}: function {} must be 1 to 4; Davy only reads", self.function));
        }
        if (self.function <= 2) != (self.kind == Kind::Bit) {
            return Err(format!("register {key:?}: type bit is for functions 1 and 2, and they have no other"));
        }
        if self.address.checked_add(self.words() - 1).is_none() {
            return Err(format!("register {key:?} ends beyond address 65535"));
        }
        if self.mask.is_some() && self.kind != Kind::U16 {
            return Err(format!("register {key:?}: a mask needs type u16"));
        }
        if self.mask == Some(0) {
            return Err(format!("register {key:?}: a mask of 0 leaves nothing to read"));
        }
        Ok(())
    }

    fn bits(&self) -> Option<u8> {
        match self.kind {
            Kind::U16 => Some(self.mask.map_or(16, |mask| 16 - (mask.leading_zeros() + mask.trailing_zeros()).min(15) as u8)),
            Kind::U32 => Some(32),
            Kind::U8hi | Kind::U8lo => Some(8),
            Kind::Bit | Kind::I16 | Kind::I32 | Kind::F32 | Kind::Text4 => None,
        }
    }
}
