//! JSON text of nested values for destinations that take scalars only.

use std::borrow::Cow;

use heapline_action::value::Value;

/// JSON text of `value` as JavaScript writes it: no blanks, keys in order, non-ASCII unescaped.
/// Stops somewhere after `enough` bytes, so that a text that will be cut isn't written in full.
/// Uses no stack in proportion to the nesting.
pub(crate) fn of(value: &Value<'_>, enough: usize) -> String {
    let mut writer = Writer { out: Vec::with_capacity(64), open: Vec::new() };
    writer.value(value);
    while writer.out.len() <= enough && writer.step() {}
    String::from_utf8(writer.out).expect("the writer emits only UTF-8")
}

struct Writer<'v> {
    out: Vec<u8>,
    open: Vec<Open<'v>>,
}

enum Open<'v> {
    Array(std::slice::Iter<'v, Value<'v>>),
    Object(std::slice::Iter<'v, (Cow<'v, str>, Value<'v>)>),
}

impl<'v> Writer<'v> {
    /// Writes the next member of the innermost open value, or closes it. False at the end.
    fn step(&mut self) -> bool {
        let first = matches!(self.out.last(), Some(b'[' | b'{'));
        match self.open.last_mut() {
            None => return false,
            Some(Open::Array(items)) => match items.next() {
                None => self.close(b']'),
                Some(item) => {
                    self.comma(first);
                    self.value(item);
                }
            },
            Some(Open::Object(members)) => match members.next() {
                None => self.close(b'}'),
                Some((key, value)) => {
                    self.comma(first);
                    self.text(key);
                    self.out.push(b':');
                    self.value(value);
                }
            },
        }
        true
    }

    fn value(&mut self, value: &'v Value<'v>) {
        match value {
            Value::Null => self.out.extend_from_slice(b"null"),
            Value::Bool(true) => self.out.extend_from_slice(b"true"),
            Value::Bool(false) => self.out.extend_from_slice(b"false"),
            Value::Number(n) => self.out.extend_from_slice(n.to_text().as_bytes()),
            Value::Text(text) => self.text(text),
            Value::Array(items) => {
                self.out.push(b'[');
                self.open.push(Open::Array(items.iter()));
            }
            Value::Object(object) => {
                self.out.push(b'{');
                self.open.push(Open::Object(object.members().iter()));
            }
        }
    }

    fn text(&mut self, text: &str) {
        serde_json::to_writer(&mut self.out, text).expect("writing to memory cannot fail");
    }

    fn comma(&mut self, first: bool) {
        if !first {
            self.out.push(b',');
        }
    }

    fn close(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.open.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_javascript_writes() {
        let cases = [
            "[]",
            "{}",
            "[[],{}]",
            r#"[1,2.5,1e+21,null,true,false,"a\"b\\c\nd","ä😀",{"b":[{}],"a":{"":[""]}}]"#,
            r#"{"[":["{"],"{":"["}"#,
        ];
        for text in cases {
            assert_eq!(of(&Value::parse(text).unwrap(), usize::MAX), text);
        }
    }

    #[test]
    fn writing_stops_soon_after_enough() {
        let value = Value::Array(vec![Value::from(7); 1_000_000]);
        assert!((100..110).contains(&of(&value, 100).len()));
    }
}
