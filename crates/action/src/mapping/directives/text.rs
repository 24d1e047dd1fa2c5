//! Directives that give text: `@template`, `@case`, `@replace`, `@json`.

use std::sync::Arc;

use crate::reads::Reads;
use crate::value::{Value, mend_surrogates};

use super::Written;
use crate::mapping::node::{Directive, Members, Node, own_members};
use crate::mapping::parse::Parser;
use crate::mapping::replace::Replacement;
use crate::mapping::room::{NODE, Room};
use crate::mapping::template::Template;

/// `@template`: a text with values of the event in it.
#[derive(Debug)]
pub(super) struct Fill(Written<Template>);

impl Fill {
    pub(super) fn parse(parser: &mut Parser, value: &Value<'_>) -> Option<Arc<dyn Directive>> {
        Some(Arc::new(Fill(Written::parse(parser, value, Template::new)?)))
    }
}

impl Directive for Fill {
    fn resolve<'e>(&'e self, event: &'e Value<'e>, room: &Room) -> Option<Value<'e>> {
        let text = match &self.0 {
            Written::Fixed(template) => template.render(event, room),
            Written::Given(node) => {
                Template::new(node.resolve(event, room)?.as_text()?).render(event, room)
            }
        };
        Some(Value::from(text))
    }

    fn reads(&self, reads: &mut Reads) {
        self.0.reads(reads, Template::reads);
    }
}

/// `@case`: text in lower or upper case.
#[derive(Debug)]
pub(super) struct Case {
    upper: bool,
    value: Node,
}

impl Case {
    pub(super) fn parse(parser: &mut Parser, value: &Value<'_>) -> Option<Arc<dyn Directive>> {
        let options = parser.options(value)?;
        let operators = [("lower", false), ("upper", true)];
        let upper = parser.required(options, "operator", |p, v| p.choice(v, &operators));
        let value = parser.required(options, "value", scalar);
        Some(Arc::new(Case { upper: upper?, value: value? }))
    }
}

impl Directive for Case {
    fn resolve<'e>(&'e self, event: &'e Value<'e>, room: &Room) -> Option<Value<'e>> {
        Some(match self.value.resolve(event, room)? {
            Value::Text(text) if self.upper => Value::from(text.to_uppercase()),
            Value::Text(text) => Value::from(text.to_lowercase()),
            other => other,
        })
    }

    fn reads(&self, reads: &mut Reads) {
        self.value.reads(reads);
    }

    fn members<'e>(&'e self, event: &'e Value<'e>, room: &Room) -> Option<Members<'e>> {
        match self.resolve(event, room)? {
            text @ Value::Text(_) => Some(own_members(text, room)),
            _ => self.value.members(event, room),
        }
    }
}

/// Anything but a list or an object without a directive.
fn scalar(parser: &mut Parser, value: &Value<'_>) -> Option<Node> {
    parser.node_if(value, "text", |value| !matches!(value, Value::Array(_) | Value::Object(_)))
}

/// `@replace`: text with other text in place of some.
#[derive(Debug)]
pub(super) struct Replace {
    value: Node,
    replacements: Vec<Replacement>,
    ignore_case: bool,
    all: bool,
}

impl Replace {
    pub(super) fn parse(parser: &mut Parser, value: &Value<'_>) -> Option<Arc<dyn Directive>> {
        const LONGEST: usize = 10;
        let options = parser.options(value)?;
        let pattern = |p: &mut Parser, v: &Value<'_>| p.text(v, 1, LONGEST);
        let replacement = |p: &mut Parser, v: &Value<'_>| p.text(v, 0, LONGEST);
        let first = parser.required(options, "pattern", pattern);
        let by_first = parser.optional(options, "replacement", replacement);
        let second = parser.optional(options, "pattern2", pattern);
        let by_second = parser.optional(options, "replacement2", replacement);
        let ignore_case = parser.optional(options, "ignorecase", Parser::boolean);
        let all = parser.optional(options, "global", Parser::boolean);
        let value = parser.required(options, "value", scalar);
        let first = Replacement { pattern: first?, replacement: by_first?.unwrap_or_default() };
        let by_second = by_second?.unwrap_or_default();
        let second = second?.map(|pattern| Replacement { pattern, replacement: by_second });
        Some(Arc::new(Replace {
            value: value?,
            replacements: [first].into_iter().chain(second).collect(),
            ignore_case: ignore_case?.unwrap_or(false),
            all: all?.unwrap_or(true),
        }))
    }
}

impl Directive for Replace {
    fn resolve<'e>(&'e self, event: &'e Value<'e>, room: &Room) -> Option<Value<'e>> {
        let text = match self.value.resolve(event, room) {
            Some(Value::Text(text)) => text.into_owned(),
            Some(Value::Number(n)) => n.to_text(),
            Some(Value::Bool(b)) => b.to_string(),
            Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => String::new(),
        };
        let replaced = self.replacements.iter().fold(text, |text, replacement| {
            match room.take(replacement.most_bytes(&text)) {
                true => replacement.apply(&text, self.ignore_case, self.all),
                false => text,
            }
        });
        Some(Value::from(replaced))
    }

    fn reads(&self, reads: &mut Reads) {
        self.value.reads(reads);
    }
}

/// `@json`: a value as JSON text, or a JSON text as the value.
#[derive(Debug)]
pub(super) struct Json {
    encode: bool,
    value: Node,
}

impl Json {
    pub(super) fn parse(parser: &mut Parser, value: &Value<'_>) -> Option<Arc<dyn Directive>> {
        let options = parser.options(value)?;
        let modes = [("encode", true), ("decode", false)];
        let encode = parser.required(options, "mode", |p, v| p.choice(v, &modes));
        let value = parser.required(options, "value", Parser::node);
        Some(Arc::new(Json { encode: encode?, value: value? }))
    }
}

impl Directive for Json {
    fn resolve<'e>(&'e self, event: &'e Value<'e>, room: &Room) -> Option<Value<'e>> {
        let value = self.value.resolve(event, room)?;
        if self.encode {
            let text = value.to_json();
            return room.take(text.len()).then(|| Value::from(text));
        }
        let Value::Text(text) = value else { return Some(value) };
        // Its densest values take two bytes each.
        if !room.take(text.len().saturating_mul(NODE / 2)) {
            return None;
        }
        let mended = mend_surrogates(&text);
        let decoded = Value::parse(mended.as_deref().unwrap_or(&text)).map(Value::into_owned);
        Some(decoded.unwrap_or(Value::Text(text)))
    }

    fn reads(&self, reads: &mut Reads) {
        self.value.reads(reads);
    }
}
