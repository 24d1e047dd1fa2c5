//! From the JSON of a mapping to its tree, collecting every fault.

use crate::destination::Fault;
use crate::value::{Object, Value};

use super::directives::DIRECTIVES;
use super::node::Node;

/// Deepest nesting of a mapping.
const MAX_DEPTH: usize = 64;

/// Segment's place for a directive at the root whose `mapping` is the rest of the document.
const ROOT_DIRECTIVE: &str = "__segment_internal_directive";

/// Member that holds notes of an editor and makes no difference to a directive.
const NOTES: &str = "_metadata";

/// Parses a whole mapping.
pub(super) fn root(mapping: &Value<'_>) -> Result<Node, Vec<Fault>> {
    let mut parser = Parser { path: "$".to_owned(), depth: 0, faults: Vec::new() };
    let node = match mapping {
        Value::Object(object) if object.get(ROOT_DIRECTIVE).is_some() => {
            let unfolded = parser.unfold(object);
            let node = unfolded.and_then(|unfolded| parser.node(&unfolded));
            parser.fold_places(object);
            node
        }
        Value::Object(_) => parser.node(mapping),
        other => parser.refuse(format!("expected an object, found {}", other.kind())),
    };
    match node {
        Some(node) if parser.faults.is_empty() => Ok(node),
        _ => Err(parser.faults),
    }
}

/// A mapping with Segment's directive at the root as it is meant; `None` if it has none.
pub(super) fn unfolded(mapping: &Value<'_>) -> Option<Value<'static>> {
    let object = mapping.as_object().filter(|object| object.get(ROOT_DIRECTIVE).is_some())?;
    Parser { path: "$".to_owned(), depth: 0, faults: Vec::new() }.unfold(object)
}

/// Where the parser is, and what it has found wrong. A method that gives `None` has told why.
pub(super) struct Parser {
    path: String,
    depth: usize,
    faults: Vec<Fault>,
}

impl Parser {
    /// Any part of a mapping.
    pub(super) fn node(&mut self, value: &Value<'_>) -> Option<Node> {
        let node = match value {
            Value::Object(_) | Value::Array(_) if self.depth == MAX_DEPTH => {
                self.refuse(format!("expected at most {MAX_DEPTH} levels of nesting"))
            }
            Value::Object(object) => {
                self.depth += 1;
                let node = self.object(object);
                self.depth -= 1;
                node
            }
            Value::Array(items) => {
                self.depth += 1;
                let nodes = self.each(items, Parser::node);
                self.depth -= 1;
                Some(Node::Array(nodes?))
            }
            _ => return Some(Node::Constant(value.clone().into_owned())),
        };
        let constant = match &node {
            Some(Node::Object(members)) => members.iter().all(|(_, node)| is_constant(node)),
            Some(Node::Array(items)) => items.iter().all(is_constant),
            _ => false,
        };
        if constant { Some(Node::Constant(value.clone().into_owned())) } else { node }
    }

    fn object(&mut self, object: &Object<'_>) -> Option<Node> {
        let names: Vec<&str> =
            object.iter().map(|(key, _)| key).filter(|k| k.starts_with('@')).collect();
        let Some(&name) = names.first() else {
            let mut members = Vec::with_capacity(object.len());
            let mut sound = true;
            for (key, value) in object.iter() {
                match self.inside(key, |parser| parser.node(value)) {
                    Some(node) => members.push((key.to_owned(), node)),
                    None => sound = false,
                }
            }
            return sound.then_some(Node::Object(members));
        };
        if names.len() > 1 {
            return self.refuse(format!("expected one directive, found {}", names.join(", ")));
        }
        let mut others = object.iter().map(|(key, _)| key).filter(|&k| k != name && k != NOTES);
        if let Some(other) = others.next() {
            return self
                .refuse(format!("expected {name} alone, found the key {other:?} beside it"));
        }
        let options = object.get(name)?;
        let Some((_, parse)) = DIRECTIVES.iter().find(|(known, _)| *known == name) else {
            return self.refuse(unknown_directive(name));
        };
        self.inside(name, |parser| parse(parser, options)).map(Node::Directive)
    }

    /// Segment's root directive with the rest of the document as its `mapping`.
    fn unfold(&mut self, object: &Object<'_>) -> Option<Value<'static>> {
        let mut rest = object.clone().into_owned();
        let directive = rest.remove(ROOT_DIRECTIVE)?;
        self.inside(ROOT_DIRECTIVE, |parser| {
            let Value::Object(directive) = directive else {
                let found = directive.kind();
                return parser
                    .refuse(format!("expected an object with one directive, found {found}"));
            };
            let mut members: Vec<_> = directive.into_iter().filter(|(k, _)| k != NOTES).collect();
            let (name, options) = match members.pop() {
                Some(member) if members.is_empty() => member,
                _ => return parser.refuse("expected an object with one directive".to_owned()),
            };
            let Value::Object(mut options) = options else {
                let found = options.kind();
                return parser.inside(&name, |parser| {
                    parser.refuse(format!("expected an object, found {found}"))
                });
            };
            options.insert("mapping", Value::Object(rest));
            let mut unfolded = Object::new();
            unfolded.insert(name, Value::Object(options));
            Some(Value::Object(unfolded))
        })
    }

    /// Gives faults in an unfolded document the places that the written one has.
    fn fold_places(&mut self, written: &Object<'_>) {
        let directive = written.get(ROOT_DIRECTIVE).and_then(Value::as_object);
        let names = directive.into_iter().flat_map(Object::iter).map(|(name, _)| name);
        for name in names.filter(|&name| name != NOTES) {
            let (rest, own) = (format!("$.{name}.mapping"), format!("$.{name}"));
            for fault in &mut self.faults {
                fault.path = if let Some(inner) = fault.path.strip_prefix(&rest) {
                    format!("${inner}")
                } else if let Some(inner) = fault.path.strip_prefix(&own) {
                    format!("$.{ROOT_DIRECTIVE}.{name}{inner}")
                } else {
                    continue;
                };
            }
        }
    }

    /// Records a fault at the present place.
    pub(super) fn refuse<T>(&mut self, message: String) -> Option<T> {
        self.faults.push(Fault { path: self.path.clone(), message });
        None
    }

    /// Runs `parse` with the place moved to the member `key`.
    fn inside<T>(&mut self, key: &str, parse: impl FnOnce(&mut Parser) -> Option<T>) -> Option<T> {
        let length = self.path.len();
        let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '-' || c == '@';
        if !key.is_empty() && key.chars().all(plain) {
            self.path.push('.');
            self.path.push_str(key);
        } else {
            self.path.push_str(&format!("[{}]", Value::from(key).to_json()));
        }
        let result = parse(self);
        self.path.truncate(length);
        result
    }

    /// Runs `parse` on each item; `None` if one of them fails.
    pub(super) fn each<T>(
        &mut self,
        items: &[Value<'_>],
        parse: impl Fn(&mut Parser, &Value<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut results = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            let length = self.path.len();
            self.path.push_str(&format!("[{at}]"));
            results.extend(parse(self, item));
            self.path.truncate(length);
        }
        (results.len() == items.len()).then_some(results)
    }

    /// The options of a directive, which must be an object.
    pub(super) fn options<'v, 'e>(&mut self, value: &'v Value<'e>) -> Option<&'v Object<'e>> {
        match value {
            Value::Object(object) => Some(object),
            other => self.refuse(format!("expected an object, found {}", other.kind())),
        }
    }

    /// The member `key`, which must be there.
    pub(super) fn required<T>(
        &mut self,
        options: &Object<'_>,
        key: &str,
        parse: impl FnOnce(&mut Parser, &Value<'_>) -> Option<T>,
    ) -> Option<T> {
        match options.get(key) {
            Some(value) => self.inside(key, |parser| parse(parser, value)),
            None => self.refuse(format!("missing {key:?}")),
        }
    }

    /// The member `key`, if it is there. The outer `None` is a fault.
    pub(super) fn optional<T>(
        &mut self,
        options: &Object<'_>,
        key: &str,
        parse: impl FnOnce(&mut Parser, &Value<'_>) -> Option<T>,
    ) -> Option<Option<T>> {
        match options.get(key) {
            Some(value) => self.inside(key, |parser| parse(parser, value)).map(Some),
            None => Some(None),
        }
    }

    /// A text of `least` to `most` UTF-16 units, as JavaScript counts them.
    pub(super) fn text(&mut self, value: &Value<'_>, least: usize, most: usize) -> Option<String> {
        let Value::Text(text) = value else {
            return self.refuse(format!("expected text, found {}", value.kind()));
        };
        let length = text.encode_utf16().count();
        if (least..=most).contains(&length) {
            return Some(text.to_string());
        }
        let wanted = match (least, most) {
            (_, usize::MAX) => format!("at least {least}"),
            (0, _) => format!("at most {most}"),
            _ => format!("{least} to {most}"),
        };
        self.refuse(format!("expected {wanted} characters, found {length}"))
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, value: &Value<'_>) -> Option<bool> {
        match value {
            Value::Bool(b) => Some(*b),
            other => self.refuse(format!("expected true or false, found {}", other.kind())),
        }
    }

    /// One of `choices`, by name.
    pub(super) fn choice<T: Copy>(
        &mut self,
        value: &Value<'_>,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let chosen = choices.iter().find(|(name, _)| value.as_text() == Some(*name));
        if let Some((_, choice)) = chosen {
            return Some(*choice);
        }
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
        let found = match value {
            Value::Text(text) => format!("{text:?}"),
            other => other.kind().to_owned(),
        };
        self.refuse(format!("expected {}, found {found}", names.join(" or ")))
    }

    /// A directive, or a value of another kind that `accepts` allows; `wanted` names that kind.
    pub(super) fn node_if(
        &mut self,
        value: &Value<'_>,
        wanted: &str,
        accepts: impl FnOnce(&Value<'_>) -> bool,
    ) -> Option<Node> {
        if is_directive(value) || accepts(value) {
            return self.node(value);
        }
        self.refuse(format!("expected {wanted} or a directive, found {}", value.kind()))
    }
}

/// True if `value` is an object with a key that starts with `@`.
pub(super) fn is_directive(value: &Value<'_>) -> bool {
    value.as_object().is_some_and(|object| object.iter().any(|(key, _)| key.starts_with('@')))
}

fn is_constant(node: &Node) -> bool {
    matches!(node, Node::Constant(_))
}

fn unknown_directive(name: &str) -> String {
    if name == "@liquid" {
        return "@liquid is not supported; use @template, @if, @case or @replace".to_owned();
    }
    let known: Vec<&str> = DIRECTIVES.iter().map(|(name, _)| *name).collect();
    let near = known.iter().find(|known| known.eq_ignore_ascii_case(name));
    match near {
        Some(near) => format!("unknown directive {name}; did you mean {near}?"),
        None => format!("unknown directive {name}; expected one of {}", known.join(", ")),
    }
}
