//! Changes to a document that leave all else of it as it was written, comments too.

use heapline_action::value::{Number, Object, Value};
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table};

use super::Problem;
use crate::workspace::Format;

/// One step on the way to a place in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Member of a table.
    Key(String),
    /// Element of a list.
    At(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Step {
        Step::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(at: usize) -> Step {
        Step::At(at)
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Puts a value at a member of a table or in place of an element of a list.
    Set(Vec<Step>, Value<'static>),
    /// Takes a member or an element away.
    Remove(Vec<Step>),
    /// Puts an element into a list, which is made if there is none, before the one at this index.
    Insert(Vec<Step>, usize, Value<'static>),
    /// Moves an element of a list to another index, counted without it.
    Move(Vec<Step>, usize, usize),
}

/// A place in a document.
macro_rules! place {
    ($($step:expr),* $(,)?) => { vec![$($crate::control::edit::Step::from($step)),*] };
}
pub(crate) use place;

/// A table with those of the members that are there.
pub(super) fn item<const N: usize>(
    members: [(&'static str, Option<Value<'static>>); N],
) -> Value<'static> {
    let mut item = Object::new();
    for (key, value) in members {
        if let Some(value) = value {
            item.insert(key, value);
        }
    }
    Value::Object(item)
}

impl Edit {
    /// The changes that make `new` of `old` at `place`, member by member, so that what stays the
    /// same stays as it was written.
    pub fn between(place: &[Step], old: Option<&Value<'_>>, new: &Value<'static>) -> Vec<Edit> {
        let (Some(Value::Object(old)), Value::Object(new)) = (old, new) else {
            let same = old.is_some_and(|old| old == new);
            return if same { Vec::new() } else { vec![Edit::Set(place.to_vec(), new.clone())] };
        };
        let at = |key: &str| [place, &[Step::from(key)]].concat();
        let gone = old.iter().filter(|(key, _)| new.get(key).is_none());
        let mut edits: Vec<Edit> = gone.map(|(key, _)| Edit::Remove(at(key))).collect();
        for (key, value) in new.iter() {
            edits.extend(Edit::between(&at(key), old.get(key), value));
        }
        edits
    }
}

/// The text with all changes made, one after the other.
pub fn apply(text: &str, format: Format, edits: &[Edit]) -> Result<String, Problem> {
    match format {
        Format::Toml => {
            let mut document: DocumentMut = text
                .parse()
                .map_err(|e: toml_edit::TomlError| Problem::Bad(format!("the document: {e}")))?;
            for edit in edits {
                edit_toml(document.as_item_mut(), edit)?;
            }
            unplace(document.as_table_mut());
            Ok(document.to_string())
        }
        Format::Json => {
            let mut value = Value::parse(text)
                .map_err(|e| Problem::Bad(format!("the document: {e}")))?
                .into_owned();
            for edit in edits {
                edit_value(&mut value, edit)?;
            }
            Ok(print_json(&value))
        }
    }
}

/// JSON as people read it.
pub fn print_json(value: &Value<'_>) -> String {
    let mut out = Vec::new();
    let mut writer = serde_json::Serializer::pretty(&mut out);
    serde::Serialize::serialize(value, &mut writer).expect("a value is plain data");
    let mut text = String::from_utf8(out).expect("JSON is UTF-8");
    text.push('\n');
    text
}

fn nowhere(step: &Step) -> Problem {
    match step {
        Step::Key(key) => Problem::Bad(format!("the document has no {key:?} there")),
        Step::At(at) => Problem::Bad(format!("the document has no element {at} there")),
    }
}

/// The changes on a plain value: what they mean, and how JSON is edited.
pub fn edit_value(root: &mut Value<'static>, edit: &Edit) -> Result<(), Problem> {
    match edit {
        Edit::Set(place, value) => {
            let (last, parent) = place.split_last().expect("a place has a step");
            match (find(root, parent)?, last) {
                (Value::Object(object), Step::Key(key)) => {
                    object.insert(key.clone(), value.clone());
                }
                (Value::Array(items), Step::At(at)) => {
                    *items.get_mut(*at).ok_or_else(|| nowhere(last))? = value.clone();
                }
                _ => return Err(nowhere(last)),
            }
        }
        Edit::Remove(place) => {
            let (last, parent) = place.split_last().expect("a place has a step");
            match (find(root, parent)?, last) {
                (Value::Object(object), Step::Key(key)) => {
                    object.remove(key);
                }
                (Value::Array(items), Step::At(at)) if *at < items.len() => {
                    items.remove(*at);
                }
                _ => return Err(nowhere(last)),
            }
        }
        Edit::Insert(place, at, value) => {
            let (last, parent) = place.split_last().expect("a place has a step");
            if let (Value::Object(object), Step::Key(key)) = (find(root, parent)?, last)
                && object.get(key).is_none()
            {
                object.insert(key.clone(), Value::Array(Vec::new()));
            }
            let Value::Array(items) = find(root, place)? else { return Err(nowhere(last)) };
            items.insert((*at).min(items.len()), value.clone());
        }
        Edit::Move(place, from, to) => {
            let Value::Array(items) = find(root, place)? else {
                return Err(nowhere(&Step::At(*from)));
            };
            if *from >= items.len() {
                return Err(nowhere(&Step::At(*from)));
            }
            let item = items.remove(*from);
            items.insert((*to).min(items.len()), item);
        }
    }
    Ok(())
}

fn find<'v>(
    root: &'v mut Value<'static>,
    place: &[Step],
) -> Result<&'v mut Value<'static>, Problem> {
    place.iter().try_fold(root, |at, step| {
        match (at, step) {
            (Value::Object(object), Step::Key(key)) => object.get_mut(key),
            (Value::Array(items), Step::At(index)) => items.get_mut(*index),
            _ => None,
        }
        .ok_or_else(|| nowhere(step))
    })
}

/// A place in a TOML document, by how it is written there.
enum Node<'d> {
    Item(&'d mut Item),
    Table(&'d mut Table),
    Value(&'d mut toml_edit::Value),
}

fn step<'d>(node: Node<'d>, step: &Step) -> Result<Node<'d>, Problem> {
    let found = match (node, step) {
        (Node::Item(item), Step::Key(key)) => {
            item.as_table_like_mut().and_then(|table| table.get_mut(key)).map(Node::Item)
        }
        (Node::Item(Item::ArrayOfTables(tables)), Step::At(at)) => {
            tables.get_mut(*at).map(Node::Table)
        }
        (Node::Item(item), Step::At(at)) => {
            item.as_array_mut().and_then(|items| items.get_mut(*at)).map(Node::Value)
        }
        (Node::Table(table), Step::Key(key)) => table.get_mut(key).map(Node::Item),
        (Node::Value(value), Step::Key(key)) => {
            value.as_inline_table_mut().and_then(|table| table.get_mut(key)).map(Node::Value)
        }
        (Node::Value(value), Step::At(at)) => {
            value.as_array_mut().and_then(|items| items.get_mut(*at)).map(Node::Value)
        }
        (Node::Table(_), Step::At(_)) => None,
    };
    found.ok_or_else(|| nowhere(step))
}

fn walk<'d>(root: &'d mut Item, place: &[Step]) -> Result<Node<'d>, Problem> {
    place.iter().try_fold(Node::Item(root), step)
}

fn edit_toml(root: &mut Item, edit: &Edit) -> Result<(), Problem> {
    match edit {
        Edit::Set(place, value) => {
            let (last, parent) = place.split_last().expect("a place has a step");
            set(walk(root, parent)?, last, toml(value)?)
        }
        Edit::Remove(place) => {
            let (last, parent) = place.split_last().expect("a place has a step");
            remove(walk(root, parent)?, last)
        }
        Edit::Insert(place, at, value) => {
            let (last, parent) = place.split_last().expect("a place has a step");
            make_list(walk(root, parent)?, last, value);
            insert(walk(root, place)?, *at, value)
        }
        Edit::Move(place, from, to) => reorder(walk(root, place)?, *from, *to),
    }
}

fn set(parent: Node<'_>, last: &Step, value: toml_edit::Value) -> Result<(), Problem> {
    let put = |old: &mut toml_edit::Value, mut value: toml_edit::Value| {
        *value.decor_mut() = old.decor().clone();
        *old = value;
    };
    match (parent, last) {
        (Node::Item(item), Step::Key(key)) => {
            let table = item.as_table_like_mut().ok_or_else(|| nowhere(last))?;
            match table.get_mut(key) {
                Some(Item::Value(old)) => put(old, value),
                _ => {
                    table.insert(key, Item::Value(value));
                }
            }
        }
        (Node::Table(table), Step::Key(key)) => match table.get_mut(key) {
            Some(Item::Value(old)) => put(old, value),
            _ => {
                table.insert(key, Item::Value(value));
            }
        },
        (Node::Value(parent), Step::Key(key)) => {
            let table = parent.as_inline_table_mut().ok_or_else(|| nowhere(last))?;
            match table.get_mut(key) {
                Some(old) => put(old, value),
                None => {
                    table.insert(key.as_str(), value);
                }
            }
        }
        (parent, Step::At(_)) => match step(parent, last)? {
            Node::Value(old) | Node::Item(Item::Value(old)) => put(old, value),
            Node::Table(_) | Node::Item(_) => return Err(nowhere(last)),
        },
    }
    Ok(())
}

fn remove(parent: Node<'_>, last: &Step) -> Result<(), Problem> {
    match (parent, last) {
        (Node::Item(Item::ArrayOfTables(tables)), Step::At(at)) if *at < tables.len() => {
            tables.remove(*at);
        }
        (Node::Item(item), Step::Key(key)) => {
            item.as_table_like_mut().ok_or_else(|| nowhere(last))?.remove(key);
        }
        (Node::Item(item), Step::At(at)) => {
            let items = item.as_array_mut().filter(|items| *at < items.len());
            items.ok_or_else(|| nowhere(last))?.remove(*at);
        }
        (Node::Table(table), Step::Key(key)) => {
            table.remove(key);
        }
        (Node::Value(value), Step::Key(key)) => {
            value.as_inline_table_mut().ok_or_else(|| nowhere(last))?.remove(key);
        }
        (Node::Value(value), Step::At(at)) => {
            let items = value.as_array_mut().filter(|items| *at < items.len());
            items.ok_or_else(|| nowhere(last))?.remove(*at);
        }
        (Node::Table(_), Step::At(_)) => return Err(nowhere(last)),
    }
    Ok(())
}

/// A list for `value` at the member `last`, unless there is one: of tables where that can be.
fn make_list(parent: Node<'_>, last: &Step, value: &Value<'_>) {
    let Step::Key(key) = last else { return };
    let of_tables = matches!(value, Value::Object(_));
    let is_open =
        |item: &Item| item.is_none() || (of_tables && item.as_array().is_some_and(Array::is_empty));
    let list = if of_tables {
        Item::ArrayOfTables(ArrayOfTables::new())
    } else {
        toml_edit::value(Array::new())
    };
    match parent {
        Node::Item(Item::Table(table)) | Node::Table(table) => {
            if table.get(key).is_none_or(is_open) {
                table.insert(key, list);
            }
        }
        Node::Item(Item::Value(value)) | Node::Value(value) => {
            if let Some(table) = value.as_inline_table_mut()
                && !table.contains_key(key)
            {
                table.insert(key.as_str(), Array::new().into());
            }
        }
        Node::Item(Item::None | Item::ArrayOfTables(_)) => {}
    }
}

fn insert(list: Node<'_>, at: usize, value: &Value<'_>) -> Result<(), Problem> {
    match list {
        Node::Item(Item::ArrayOfTables(tables)) => {
            let Value::Object(object) = value else { return Err(nowhere(&Step::At(at))) };
            let mut all: Vec<Table> = tables.iter().cloned().collect();
            let mut table = table(object)?;
            if !(all.is_empty() && at == 0) {
                table.decor_mut().set_prefix("\n");
            }
            all.insert(at.min(all.len()), table);
            refill(tables, all);
        }
        Node::Item(Item::Value(list)) | Node::Value(list) => {
            let items = list.as_array_mut().ok_or_else(|| nowhere(&Step::At(at)))?;
            items.insert(at.min(items.len()), toml(value)?);
        }
        Node::Item(Item::None | Item::Table(_)) | Node::Table(_) => {
            return Err(nowhere(&Step::At(at)));
        }
    }
    Ok(())
}

fn reorder(list: Node<'_>, from: usize, to: usize) -> Result<(), Problem> {
    let missing = || nowhere(&Step::At(from));
    match list {
        Node::Item(Item::ArrayOfTables(tables)) => {
            let mut all: Vec<Table> = tables.iter().cloned().collect();
            if from >= all.len() {
                return Err(missing());
            }
            let table = all.remove(from);
            all.insert(to.min(all.len()), table);
            refill(tables, all);
        }
        Node::Item(Item::Value(list)) | Node::Value(list) => {
            let items = list.as_array_mut().filter(|items| from < items.len());
            let items = items.ok_or_else(missing)?;
            let item = items.remove(from);
            items.insert(to.min(items.len()), item);
        }
        Node::Item(Item::None | Item::Table(_)) | Node::Table(_) => return Err(missing()),
    }
    Ok(())
}

fn refill(tables: &mut ArrayOfTables, all: Vec<Table>) {
    tables.clear();
    all.into_iter().for_each(|table| tables.push(table));
}

/// Tables know the place in the text that they had. Once some have moved, the order of the
/// document itself is the right one.
fn unplace(table: &mut Table) {
    table.set_position(None);
    for (_, item) in table.iter_mut() {
        match item {
            Item::Table(table) => unplace(table),
            Item::ArrayOfTables(tables) => tables.iter_mut().for_each(unplace),
            Item::None | Item::Value(_) => {}
        }
    }
}

fn table(object: &Object<'_>) -> Result<Table, Problem> {
    let mut table = Table::new();
    for (key, value) in object.iter() {
        table.insert(key, Item::Value(toml(value)?));
    }
    Ok(table)
}

fn toml(value: &Value<'_>) -> Result<toml_edit::Value, Problem> {
    Ok(match value {
        Value::Null => {
            let what = "TOML has no null: leave the member out, or keep the workspace as JSON";
            return Err(Problem::Bad(what.into()));
        }
        Value::Bool(b) => (*b).into(),
        Value::Number(Number::Int(n)) => (*n).into(),
        Value::Number(Number::UInt(n)) => {
            let what = format!("TOML has no whole numbers as large as {n}");
            return Err(Problem::Bad(what));
        }
        Value::Number(Number::Float(n)) => (*n).into(),
        Value::Text(text) => text.as_ref().into(),
        Value::Array(items) => {
            let items = items.iter().map(toml).collect::<Result<Vec<_>, _>>()?;
            toml_edit::Value::Array(items.into_iter().collect::<Array>())
        }
        Value::Object(object) => {
            let mut table = InlineTable::new();
            for (key, value) in object.iter() {
                table.insert(key, toml(value)?);
            }
            toml_edit::Value::InlineTable(table)
        }
    })
}
