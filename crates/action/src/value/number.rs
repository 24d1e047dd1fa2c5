//! Numbers that keep their digits and print as JavaScript prints them.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON number. Integers of up to 64 bits keep every digit.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    /// An integer
    Int(i64),
    /// An integer above `i64::MAX`
    UInt(u64),
    /// Any other finite number
    Float(f64),
}

impl Number {
    /// The nearest double, as JavaScript would hold it.
    pub fn as_f64(self) -> f64 {
        match self {
            Number::Int(n) => n as f64,
            Number::UInt(n) => n as f64,
            Number::Float(n) => n,
        }
    }

    /// JavaScript's text of the number (`10.0` is `10`, `1e21` is `1e+21`), except that integers
    /// beyond 2^53 keep their digits.
    pub fn to_text(self) -> String {
        match self {
            Number::Int(n) => n.to_string(),
            Number::UInt(n) => n.to_string(),
            Number::Float(n) => ryu_js::Buffer::new().format(n).to_owned(),
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => a == b,
            (Number::UInt(a), Number::UInt(b)) => a == b,
            (Number::Int(a), Number::UInt(b)) | (Number::UInt(b), Number::Int(a)) => {
                u64::try_from(*a) == Ok(*b)
            }
            _ => self.as_f64() == other.as_f64(),
        }
    }
}

impl From<f64> for Number {
    fn from(n: f64) -> Self {
        if n.fract() == 0.0 && n.abs() < 9_007_199_254_740_992.0 {
            Number::Int(n as i64)
        } else {
            Number::Float(n)
        }
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Number::Int(n) => out.serialize_i64(*n),
            Number::UInt(n) => out.serialize_u64(*n),
            Number::Float(n) if !n.is_finite() => out.serialize_unit(),
            // Where both write plain decimals, the serializer's own way is several times faster.
            Number::Float(n) if n.fract() != 0.0 && n.abs() >= 1e-4 => out.serialize_f64(*n),
            Number::Float(_) => {
                let raw = RawValue::from_string(self.to_text());
                raw.map_err(serde::ser::Error::custom)?.serialize(out)
            }
        }
    }
}
