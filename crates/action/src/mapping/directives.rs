//! The directives. A new one is a struct with `parse` and [`Directive::resolve`], and a row in
//! [`DIRECTIVES`].

use std::borrow::Cow;
use std::sync::Arc;

use crate::value::{Object, ObjectBuilder, Value, mend_surrogates};

use super::node::{Directive, Members, Node, share};
use super::parse::Parser;
use super::path::Path;
use super::replace::Replacement;
use super::template::Template;

type Parse = fn(&mut Parser, &Value<'_>) -> Option<Arc<dyn Directive>>;

/// Every directive and how its options are parsed.
pub(super) const DIRECTIVES: &[(&str, Parse)] = &[
    ("@path", At::parse),
    ("@template", Fill::parse),
    ("@if", If::parse),
    ("@case", Case::parse),
    ("@replace", Replace::parse),
    ("@arrayPath", ArrayPath::parse),
    ("@literal", Literal::parse),
    ("@json", Json::parse),
    ("@flatten", Flatten::parse),
    ("@merge", Merge::parse),
    ("@transform", Transform::parse),
    ("@excludeWhenNull", ExcludeWhenNull::parse),
];

/// A text that is known when the mapping is saved and read then, or one that a directive gives.
#[derive(Debug)]
enum Written<T> {
    Fixed(T),
    Given(Node),
}

impl<T> Written<T> {
    fn parse(parser: &mut Parser, value: &Value<'_>, read: fn(&str) -> T) -> Option<Written<T>> {
        let node = parser.node_if(value, "text", |value| value.as_text().is_some())?;
        Some(match &node {
            Node::Constant(Value::Text(text)) => Written::Fixed(read(text)),
            _ => Written::Given(node),
        })
    }
}

/// `@path`: the value at a path.
#[derive(Debug)]
struct At(Written<Path>);

impl At {
    fn parse(parser: &mut Parser, value: &Value<'_>) -> Option<Arc<dyn Directive>> {
        Some(Arc::new(At(Written::parse(parser, value, Path::new)?)))
    }

    fn value<'e>(&'e self, event: &'e Value<'e>) -> Option<Cow<'e, Value<'e>>> {
        match &self.0 {
            Written::Fixed(path) => path.find(event),
            Written::Given(node) => Path::new(node.resolve(event)?.as_text()?).find(event),
        }
    }
}

impl Directive for At {
    fn resolve<'e>(&'e self, event: &'e Value<'e>) -> Option<Value<'e>> {
        Some(match self.value(event)? {
            Cow::Borrowed(value) => share(value),
            Cow::Owned(value) => value,
        })
    }

    fn find<'e>(&'e self, event: &'e Value<'e>) -> Option<&'e Value<'e>> {
        match self.value(event)? {
            Cow::Borrowed(value) => Some(value),
            Cow::Owned(_) => None,
        }
    }
}

/// `@template`: a text with values of the event in it.
#[derive(Debug)]
struct Fill(Written<Template>);

impl Fill {
    fn parse(parser: &mut Parser, value: &Value<'_>) -> Option<Arc<dyn Directive>> {
        Some(Arc::new(Fill(Written::parse(parser, value, Template::new)?)))
    }
}

impl Directive for Fill {
    fn resolve<'e>(&'e self, event: &'e Value<'e>) -> Option<Value<'e>> {
        let text = match &self.0 {
            Written::Fixed(template) => template.render(event),
            Written::Given(node) => Template::new(node.resolve(event)?.as_text()?).render(event),
        };
        Some(Value::from(text))
    }
}

/// `@if`: one of two values.
#[derive(Debug)]
struct If {
    /// True to ask whether the value exists; false to ask whether it isn't blank.
    exists: bool,
    value: Node,
    then: Option<Node>,
    otherwise: Option<Node>,
}

impl If {
    fn parse(parser: &mut Parser, value: &Value<'_>) -> Option<Arc<dyn Directive>> {
        let options = parser.options(value)?;
        let exists = parser.optional(options, "exists", Parser::node);
        let blank = parser.optional(options, "blank", Parser::node);
        let then = parser.optional(options, "then", Parser::node);
        let otherwise = parser.optional(options, "else", Parser::node);
        let (exists, value) = match (exists?, blank?) {
            (Some(value), _) => (true, value),
            (None, Some(value)) => (false, value),
            (None, None) => return parser.refuse("missing \"exists\" or \"blank\"".to_owned()),
        };
        Some(Arc::new(If { exists, value, then: then?, otherwise: otherwise? }))
    }

    fn branch(&self, event: &Value<'_>) -> Option<&Node> {
        let resolved;
        let value = match self.value.find(event) {
            Some(value) => Some(value),
            None => {
                resolved = self.value.resolve(event);
                resolved.as_ref()
            }
        };
        let taken = match value {
            None | Some(Value::Null) => false,
            Some(value) => self.exists || !is_blank(value),
        };
        if taken { self.then.as_ref() } else { self.otherwise.as_ref() }
    }
}

impl Directive for If {
    fn resolve<'e>(&'e self, event: &'e Value<'e>) -> Option<Value<'e>> {
        self.branch(event)?.resolve(event)
    }

    fn members<'e>(&'e self, event: &'e Value<'e>) -> Option<Members<'e>> {
        self.branch(event)?.members(event)
    }
}

/// JavaScript's `value == ''` for values that exist, except that an object never is.
fn is_blank(value: &Value<'_>) -> bool {
    match value {
        Value::Array(items) => match items.as_slice() {
            [] => true,
            [Value::Text(text)] => text.is_empty(),
            _ => false,
        },
        other => other.is_falsy(),
    }
}

/// `@case`: text in lower or upper case.
#[derive(Debug)]
struct Case {
    upper: bool,
    value: Node,
}

impl Case {
    fn parse(parser: &mut Parser, value: &Value<'_>) -> Option<Arc<dyn Directive>> {
        let options = parser.options(value)?;
        let operators = [("lower", false), ("upper", true)];
        let upper = parser.required(options, "operator", |p, v| p.choice(v, &operators));
        let value = parser.required(options, "value", scalar);
        Some(Arc::new(Case { upper: upper?, value: value? }))
    }
}

impl Directive for Case {
    fn resolve<'e>(&'e self, event: &'e Value<'e>) -> Option<Value<'e>> {
        Some(match self.value.resolve(event)? {
            Value::Text(text) if self.upper => Value::from(text.to_uppercase()),
            Value::Text(text) => Value::from(text.to_lowercase()),
            other => other,
        })
    }
}

/// Anything but a list or an object without a directive.
fn scalar(parser: &mut Parser, value: &Value<'_>) -> Option<Node> {
    parser.node_if(value, "text", |value| !matches!(value, Value::Array(_) | Value::Object(_)))
}

/// `@replace`: text with other text in place of some.
#[derive(Debug)]
struct Replace {
    value: Node,
    replacements: Vec<Replacement>,
    ignore_case: bool,
    all: bool,
}

impl Replace {
    fn parse(parser: &mut Parser, value: &Value<'_>) -> Option<Arc<dyn Directive>> {
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
    fn resolve<'e>(&'e self, event: &'e Value<'e>) -> Option<Value<'e>> {
        let text = match self.value.resolve(event) {
            Some(Value::Text(text)) => text.into_owned(),
            Some(Value::Number(n)) => n.to_text(),
            Some(Value::Bool(b)) => b.to_string(),
            Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => String::new(),
        };
        let replaced = self
            .replacements
            .iter()
            .fold(text, |text, replacement| replacement.apply(&text, self.ignore_case, self.all));
        Some(Value::from(replaced))
    }
}

/// `@arrayPath`: a list, each item in another shape.
#[derive(Debug)]
struct ArrayPath {
    list: Node,
    shape: Option<Node>,
}

impl ArrayPath {
    fn parse(parser: &mut Parser, value: &Value<'_>) -> Option<Arc<dyn Directive>> {
        let parts = match value {
            Value::Array(parts) if (1..=2).contains(&parts.len()) => parts,
            Value::Array(parts) => {
                let message =
                    format!("expected a path and at most one shape, found {} items", parts.len());
                return parser.refuse(message);
            }
            other => {
                let message =
                    format!("expected a list of a path and a shape, found {}", other.kind());
                return parser.refuse(message);
            }
        };
        let parsed = parser.each(parts, |parser, part| {
            let is_path = parts.first().is_some_and(|first| std::ptr::eq(first, part));
            match part {
                Value::Text(path) if is_path => {
                    let at: Arc<dyn Directive> = Arc::new(At(Written::Fixed(Path::new(path))));
                    Some(Node::Directive(at))
                }
                _ if is_path => parser.node_if(part, "text", |_| false),
                _ => parser.node(part),
            }
        });
        let mut parsed = parsed?.into_iter();
        let list = parsed.next()?;
        let is_shape = |shape: &Value<'_>| shape.as_object().is_some_and(|shape| !shape.is_empty());
        let shape = parsed.next().filter(|_| parts.get(1).is_some_and(is_shape));
        Some(Arc::new(ArrayPath { list, shape }))
    }
}

impl Directive for ArrayPath {
    fn resolve<'e>(&'e self, event: &'e Value<'e>) -> Option<Value<'e>> {
        let Some(shape) = &self.shape else {
            let value = self.list.resolve(event)?;
            return Some(if value.as_object().is_some() {
                Value::Array(vec![value])
            } else {
                value
            });
        };
        let shaped = |item: &'e Value<'e>| shape.resolve(item).unwrap_or(Value::Null);
        if let Some(value) = self.list.find(event) {
            return Some(match value {
                Value::Array(items) => Value::Array(items.iter().map(shaped).collect()),
                Value::Object(_) => Value::Array(vec![shaped(value)]),
                other => share(other),
            });
        }
        let owned = |item: &Value<'_>| shape.resolve(item).map_or(Value::Null, Value::into_owned);
        Some(match self.list.resolve(event)? {
            Value::Array(items) => Value::Array(items.iter().map(owned).collect()),
            value @ Value::Object(_) => Value::Array(vec![owned(&value)]),
            other => other,
        })
    }
}

/// `@literal`: a value as it is, but for directives in it.
#[derive(Debug)]
struct Literal(Node);

impl Literal {
    fn parse(parser: &mut Parser, value: &Value<'_>) -> Option<Arc<dyn Directive>> {
        Some(Arc::new(Literal(parser.node(value)?)))
    }
}

impl Directive for Literal {
    fn resolve<'e>(&'e self, event: &'e Value<'e>) -> Option<Value<'e>> {
        self.0.resolve(event)
    }

    fn find<'e>(&'e self, event: &'e Value<'e>) -> Option<&'e Value<'e>> {
        self.0.find(event)
    }

    fn members<'e>(&'e self, event: &'e Value<'e>) -> Option<Members<'e>> {
        self.0.members(event)
    }
}

/// `@json`: a value as JSON text, or a JSON text as the value.
#[derive(Debug)]
struct Json {
    encode: bool,
    value: Node,
}

impl Json {
    fn parse(parser: &mut Parser, value: &Value<'_>) -> Option<Arc<dyn Directive>> {
        let options = parser.options(value)?;
        let modes = [("encode", true), ("decode", false)];
        let encode = parser.required(options, "mode", |p, v| p.choice(v, &modes));
        let value = parser.required(options, "value", Parser::node);
        Some(Arc::new(Json { encode: encode?, value: value? }))
    }
}

impl Directive for Json {
    fn resolve<'e>(&'e self, event: &'e Value<'e>) -> Option<Value<'e>> {
        let value = self.value.resolve(event)?;
        if self.encode {
            return Some(Value::from(value.to_json()));
        }
        let Value::Text(text) = value else { return Some(value) };
        let mended = mend_surrogates(&text);
        let decoded = Value::parse(mended.as_deref().unwrap_or(&text)).map(Value::into_owned);
        Some(decoded.unwrap_or(Value::Text(text)))
    }
}

/// `@flatten`: an object of scalars, its keys the paths to them.
#[derive(Debug)]
struct Flatten {
    value: Node,
    separator: String,
    omit_arrays: bool,
}

impl Flatten {
    fn parse(parser: &mut Parser, value: &Value<'_>) -> Option<Arc<dyn Directive>> {
        let options = parser.options(value)?;
        let value = parser.required(options, "value", Parser::node);
        let separator = parser.required(options, "separator", |p, v| p.text(v, 1, usize::MAX));
        let omit_arrays = parser.optional(options, "omitArrays", Parser::boolean);
        Some(Arc::new(Flatten {
            value: value?,
            separator: separator?,
            omit_arrays: omit_arrays?.unwrap_or(false),
        }))
    }

    fn flatten<'e>(&self, prefix: &mut String, value: Value<'e>, out: &mut ObjectBuilder<'e>) {
        let members: Vec<(Cow<'_, str>, Value<'e>)> = match value {
            Value::Object(object) => object.into_iter().collect(),
            Value::Array(items) if !self.omit_arrays => {
                let item = |(at, item): (usize, Value<'e>)| (Cow::from(at.to_string()), item);
                items.into_iter().enumerate().map(item).collect()
            }
            scalar => {
                out.insert(prefix.clone(), scalar);
                return;
            }
        };
        let length = prefix.len();
        for (key, value) in members {
            prefix.push_str(&self.separator);
            prefix.push_str(&key);
            self.flatten(prefix, value, out);
            prefix.truncate(length);
        }
    }
}

impl Directive for Flatten {
    fn resolve<'e>(&'e self, event: &'e Value<'e>) -> Option<Value<'e>> {
        let value = self.value.resolve(event)?;
        let members: Vec<(Cow<'e, str>, Value<'e>)> = match value {
            Value::Object(object) => object.into_iter().collect(),
            Value::Array(items) if !self.omit_arrays => {
                let item = |(at, item): (usize, Value<'e>)| (Cow::from(at.to_string()), item);
                items.into_iter().enumerate().map(item).collect()
            }
            scalar => return Some(scalar),
        };
        let mut out = ObjectBuilder::new();
        for (key, value) in members {
            self.flatten(&mut key.into_owned(), value, &mut out);
        }
        Some(Value::Object(out.finish()))
    }
}

/// `@merge`: several objects as one.
#[derive(Debug)]
struct Merge {
    objects: Vec<Node>,
    later_wins: bool,
}

impl Merge {
    fn parse(parser: &mut Parser, value: &Value<'_>) -> Option<Arc<dyn Directive>> {
        let options = parser.options(value)?;
        let objects = parser.required(options, "objects", |parser, value| match value {
            Value::Array(items) => parser.each(items, |parser, item| {
                parser.node_if(item, "an object", |item| item.as_object().is_some())
            }),
            other => parser.refuse(format!("expected a list of objects, found {}", other.kind())),
        });
        let directions = [("left", false), ("right", true)];
        let later_wins = parser.required(options, "direction", |p, v| p.choice(v, &directions));
        Some(Arc::new(Merge { objects: objects?, later_wins: later_wins? }))
    }
}

impl Directive for Merge {
    fn resolve<'e>(&'e self, event: &'e Value<'e>) -> Option<Value<'e>> {
        let members = self.members(event)?;
        let defined = members.into_iter().filter_map(|(key, value)| Some((key, value?)));
        Some(Value::Object(defined.collect()))
    }

    fn members<'e>(&'e self, event: &'e Value<'e>) -> Option<Members<'e>> {
        let mut merged: Members<'e> = Vec::new();
        let mut places = std::collections::HashMap::new();
        for (key, value) in self.objects.iter().filter_map(|node| node.members(event)).flatten() {
            match places.get(&key) {
                None => {
                    places.insert(key.clone(), merged.len());
                    merged.push((key, value));
                }
                Some(&at) if self.later_wins => {
                    if let Some(member) = merged.get_mut(at) {
                        member.1 = value;
                    }
                }
                Some(_) => {}
            }
        }
        Some(merged)
    }
}

/// `@transform`: a mapping of what another mapping gives.
#[derive(Debug)]
struct Transform {
    apply: Node,
    mapping: Node,
}

impl Transform {
    fn parse(parser: &mut Parser, value: &Value<'_>) -> Option<Arc<dyn Directive>> {
        let options = parser.options(value)?;
        let object = |parser: &mut Parser, value: &Value<'_>| {
            parser.node_if(value, "an object", |value| value.as_object().is_some())
        };
        let apply = parser.required(options, "apply", object);
        let mapping = parser.required(options, "mapping", object);
        Some(Arc::new(Transform { apply: apply?, mapping: mapping? }))
    }

    /// What `shared` or `owned` makes of the mapping and its event: the first if the event is a
    /// part of the whole one, the second if it was made for this.
    fn with<'e, T>(
        &'e self,
        event: &'e Value<'e>,
        shared: impl FnOnce(&'e Node, &'e Value<'e>) -> Option<T>,
        owned: impl for<'o> FnOnce(&'o Node, &'o Value<'o>) -> Option<T>,
    ) -> Option<T> {
        match self.apply.find(event) {
            Some(event) => shared(&self.mapping, event),
            None => {
                let nothing = || Value::Object(Object::new());
                let event = self.apply.resolve(event).unwrap_or_else(nothing);
                owned(&self.mapping, &event)
            }
        }
    }
}

impl Directive for Transform {
    fn resolve<'e>(&'e self, event: &'e Value<'e>) -> Option<Value<'e>> {
        self.with(event, Node::resolve, |node, event| node.resolve(event).map(Value::into_owned))
    }

    fn members<'e>(&'e self, event: &'e Value<'e>) -> Option<Members<'e>> {
        self.with(event, Node::members, |node, event| {
            let owned = |(key, value): (Cow<'_, str>, Option<Value<'_>>)| {
                (Cow::Owned(key.into_owned()), value.map(Value::into_owned))
            };
            Some(node.members(event)?.into_iter().map(owned).collect())
        })
    }
}

/// `@excludeWhenNull`: a value without nulls.
#[derive(Debug)]
struct ExcludeWhenNull(Node);

impl ExcludeWhenNull {
    fn parse(parser: &mut Parser, value: &Value<'_>) -> Option<Arc<dyn Directive>> {
        Some(Arc::new(ExcludeWhenNull(parser.node(value)?)))
    }
}

impl Directive for ExcludeWhenNull {
    fn resolve<'e>(&'e self, event: &'e Value<'e>) -> Option<Value<'e>> {
        without_nulls(self.0.resolve(event)?)
    }
}

/// Null is undefined; in objects at any depth, too, but not inside lists.
fn without_nulls(value: Value<'_>) -> Option<Value<'_>> {
    match value {
        Value::Null => None,
        Value::Object(object) => {
            let kept = object.into_iter().filter_map(|(key, v)| Some((key, without_nulls(v)?)));
            Some(Value::Object(kept.collect()))
        }
        other => Some(other),
    }
}
