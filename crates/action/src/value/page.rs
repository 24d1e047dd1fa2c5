//! Values as a page holds them: JavaScript's order of members, and its numbers.

use std::borrow::Cow;

use super::{Number, Object, Value};

impl<'a> Value<'a> {
    /// The value as a page has it once it has read the JSON: in objects whole numbers come first, in
    /// their order (ECMA-262, `OrdinaryOwnPropertyKeys`), and all numbers are doubles.
    pub fn into_page(self) -> Value<'a> {
        match self {
            Value::Null => Value::Null,
            Value::Bool(flag) => Value::Bool(flag),
            Value::Number(n) => Value::Number(Number::from(n.as_f64())),
            Value::Text(text) => Value::Text(text),
            Value::Array(items) => Value::Array(items.into_iter().map(Value::into_page).collect()),
            Value::Object(object) => Value::Object(object.into_page()),
        }
    }
}

impl<'a> Object<'a> {
    /// As [`Value::into_page`].
    pub fn into_page(self) -> Object<'a> {
        let mut members: Vec<(Cow<'a, str>, Value<'a>)> =
            self.into_iter().map(|(key, value)| (key, value.into_page())).collect();
        // Stable: the others keep their order.
        members.sort_by_key(|(key, _)| index(key).unwrap_or(u32::MAX));
        members.into_iter().collect()
    }
}

/// The whole number that `key` is as JavaScript writes it, below 2^32 - 1.
fn index(key: &str) -> Option<u32> {
    let leading = key.starts_with(['0', '+']) && key != "0";
    key.parse().ok().filter(|index| !leading && *index != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_come_first_in_their_order_and_numbers_are_doubles() {
        for (json, page) in [
            (r#"{"b":1,"10":2,"2":3,"a":4}"#, r#"{"2":3,"10":2,"b":1,"a":4}"#),
            (
                r#"{"x":[{"y":0,"0":1}],"01":1,"-1":1,"+1":1,"1.5":1,"":1,"4294967295":1,"4294967294":1}"#,
                r#"{"4294967294":1,"x":[{"0":1,"y":0}],"01":1,"-1":1,"+1":1,"1.5":1,"":1,"4294967295":1}"#,
            ),
            (
                "[9007199254740993,18446744073709551615,-0]",
                "[9007199254740992,18446744073709552000,0]",
            ),
        ] {
            assert_eq!(Value::parse(json).unwrap().into_page().to_json(), page);
        }
    }
}
