//! Sources: made, changed, their write keys rotated.

use heapline_action::value::Value;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::edit::{Edit, item, place};
use super::tokens::{hex, random};
use super::views::find_source;
use super::workspaces::key_id;
use super::{Actor, Changed, Control, Problem};
use crate::workspace::Workspace;

/// A source to be made.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSource {
    /// Its id: at most 64 of `A-Z a-z 0-9 - _ .`
    pub id: String,
    /// For people; the id if left out.
    #[serde(default)]
    pub name: Option<String>,
    /// What sends, e.g. `node`; `http` if left out.
    #[serde(default)]
    pub kind: Option<String>,
    /// `strict` or `permissive`.
    #[serde(default)]
    pub answers: Option<String>,
}

/// What to change of a source; what is left out stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceChange {
    /// For people.
    #[serde(default)]
    pub name: Option<String>,
    /// What sends.
    #[serde(default)]
    pub kind: Option<String>,
    /// Lets events in.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// `strict` or `permissive`.
    #[serde(default)]
    pub answers: Option<String>,
}

/// A source that was just made.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FreshSource {
    /// The workspace after it.
    #[serde(flatten)]
    pub changed: Changed,
    /// Its id.
    pub id: String,
    /// Its write key.
    pub write_key: String,
}

/// A write key that was just made.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FreshKey {
    /// The workspace after it.
    #[serde(flatten)]
    pub changed: Changed,
    /// Names it without telling it.
    pub id: String,
    /// The write key.
    pub write_key: String,
}

impl Control {
    /// Makes a source with a write key of its own.
    pub fn create_source(
        &self,
        who: &Actor,
        expected: Option<u64>,
        new: NewSource,
    ) -> Result<FreshSource, Problem> {
        let write_key = new_key()?;
        let source = item([
            ("id", Some(Value::from(new.id.clone()))),
            ("name", new.name.map(Value::from)),
            ("kind", new.kind.map(Value::from)),
            ("answers", new.answers.map(Value::from)),
            ("writeKeys", Some(Value::Array(vec![Value::from(write_key.clone())]))),
        ]);
        let id = new.id;
        let (changed, ()) = self.workspaces.edit(who, expected, |now| {
            let insert = Edit::Insert(place!["sources"], now.sources.len(), source);
            Ok((vec![insert], format!("made the source {id:?}"), ()))
        })?;
        Ok(FreshSource { changed, id, write_key })
    }

    /// Changes a source.
    pub fn update_source(
        &self,
        who: &Actor,
        expected: Option<u64>,
        id: &str,
        change: SourceChange,
    ) -> Result<Changed, Problem> {
        let SourceChange { name, kind, enabled, answers } = change;
        let members = [
            ("name", name.map(Value::from)),
            ("kind", kind.map(Value::from)),
            ("enabled", enabled.map(Value::from)),
            ("answers", answers.map(Value::from)),
        ];
        let edit = |now: &Workspace| {
            let (at, _) = find_source(now, id)?;
            let set = |(key, value): (&'static str, Option<Value<'static>>)| {
                Some(Edit::Set(place!["sources", at, key], value?))
            };
            let edits = members.into_iter().filter_map(set).collect();
            Ok((edits, format!("changed the source {id:?}")))
        };
        self.workspaces.apply(who, expected, edit)
    }

    /// Takes a source away, also from the integrations that take its events. What it sent stays.
    pub fn delete_source(
        &self,
        who: &Actor,
        expected: Option<u64>,
        id: &str,
    ) -> Result<Changed, Problem> {
        let edit = |now: &Workspace| {
            let (at, _) = find_source(now, id)?;
            let mut edits = vec![Edit::Remove(place!["sources", at])];
            for (index, integration) in now.integrations.iter().enumerate() {
                let position = integration.sources.iter().position(|source| **source == *id);
                let place = |at: usize| place!["integrations", index, "sources", at];
                edits.extend(position.map(|at| Edit::Remove(place(at))));
            }
            Ok((edits, format!("deleted the source {id:?}")))
        };
        self.workspaces.apply(who, expected, edit)
    }

    /// Adds a write key to a source. The earlier ones go on to let events in, until each is
    /// deleted: so clients can be changed one by one.
    pub fn rotate_key(
        &self,
        who: &Actor,
        expected: Option<u64>,
        id: &str,
    ) -> Result<FreshKey, Problem> {
        let write_key = new_key()?;
        let (changed, ()) = self.workspaces.edit(who, expected, |now| {
            let (at, _) = find_source(now, id)?;
            let key = Value::from(write_key.clone());
            let insert = Edit::Insert(place!["sources", at, "writeKeys"], 0, key);
            Ok((vec![insert], format!("made a write key of the source {id:?}"), ()))
        })?;
        Ok(FreshKey { changed, id: key_id(&write_key), write_key })
    }

    /// Takes a write key away; it must not be the source's last.
    pub fn delete_key(
        &self,
        who: &Actor,
        expected: Option<u64>,
        id: &str,
        key: &str,
    ) -> Result<Changed, Problem> {
        let edit = |now: &Workspace| {
            let (at, source) = find_source(now, id)?;
            let position = source.write_keys.iter().position(|k| key_id(k.reveal()) == key);
            let missing =
                || Problem::Missing(format!("{id:?} has no write key with the id {key:?}"));
            let position = position.ok_or_else(missing)?;
            if source.write_keys.len() == 1 {
                let what = format!("it is the last write key of {id:?}: make another one first");
                return Err(Problem::Conflict("last_key", what));
            }
            let remove = Edit::Remove(place!["sources", at, "writeKeys", position]);
            Ok((vec![remove], format!("deleted the write key {key} of the source {id:?}")))
        };
        self.workspaces.apply(who, expected, edit)
    }
}

fn new_key() -> Result<String, Problem> {
    Ok(format!("wk_{}", hex(&random::<20>()?)))
}
