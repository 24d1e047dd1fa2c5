//! The catalog as it is shown: every destination with its form.

use heapline_action::destination::{
    ActionType, Definition, Field, FieldKind, Setting, SettingKind,
};
use heapline_action::value::Value;
use heapline_destinations as destinations;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Control, Json, Problem};
use crate::workspace::{SourceKind, fits};

/// A destination.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CatalogEntry {
    /// Its name in documents.
    pub slug: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What it does.
    pub description: &'static str,
    /// `cloud` or `web`: who delivers.
    pub mode: &'static str,
    /// Kinds of sources whose events it takes.
    pub source_kinds: Vec<&'static str>,
    /// Calls that it supports.
    pub calls: Vec<&'static str>,
    /// Its settings, in the order of the form.
    pub settings: Vec<SettingForm>,
    /// What it can do.
    pub action_types: Vec<ActionForm>,
    /// The actions that an integration has if it names none.
    pub presets: Vec<PresetForm>,
}

/// One setting.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SettingForm {
    /// Its key.
    pub key: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// Help.
    pub help: &'static str,
    /// `text`, `digits`, `choice`, `boolean`, `count`, `fraction`, `duration`, `url`, `host` or
    /// `texts`.
    pub kind: &'static str,
    /// Of a choice: what can be chosen.
    pub choices: Vec<&'static str>,
    /// Must be given.
    pub required: bool,
    /// What it is if it isn't given.
    #[schema(value_type = crate::control::Json, required = false)]
    pub default: Option<Json>,
}

/// One thing that a destination can do.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActionForm {
    /// Its name in documents.
    pub slug: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What it does.
    pub description: &'static str,
    /// What a mapping has to give.
    pub fields: Vec<FieldForm>,
    /// The mapping that a new action starts from.
    pub default_mapping: Json,
}

/// One field of an action.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldForm {
    /// Key in the mapping.
    pub key: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// What it means.
    pub description: &'static str,
    /// `string`, `text`, `number`, `integer`, `boolean`, `datetime` or `object`.
    pub kind: &'static str,
    /// Must be there.
    pub required: bool,
    /// May be null.
    pub allow_null: bool,
    /// A list of such values.
    pub multiple: bool,
    /// If there are any: one of these.
    pub choices: Vec<&'static str>,
}

/// An action that an integration starts with.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PresetForm {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub action: &'static str,
    /// When it runs.
    pub trigger: &'static str,
}

impl Control {
    /// Every destination.
    pub fn catalog(&self) -> Vec<CatalogEntry> {
        destinations::catalog().iter().map(|d| entry(d.definition())).collect()
    }

    /// One destination.
    pub fn catalog_entry(&self, slug: &str) -> Result<CatalogEntry, Problem> {
        let found = destinations::find(slug).map(|d| entry(d.definition()));
        found.ok_or_else(|| Problem::Missing(format!("the catalog has no {slug:?}")))
    }
}

fn entry(definition: &'static Definition) -> CatalogEntry {
    let kinds = SourceKind::NAMES.into_iter();
    let takes = |name: &&str| SourceKind::of(name).is_some_and(|kind| fits(definition, kind));
    CatalogEntry {
        slug: definition.slug,
        title: definition.title,
        description: definition.description,
        mode: definition.mode.word(),
        source_kinds: kinds.filter(takes).collect(),
        calls: definition.calls.to_vec(),
        settings: definition.settings.iter().map(setting).collect(),
        action_types: definition.action_types.iter().map(action).collect(),
        presets: definition
            .presets
            .iter()
            .map(|p| PresetForm { name: p.name, action: p.action_type, trigger: p.trigger })
            .collect(),
    }
}

fn setting(setting: &'static Setting) -> SettingForm {
    let mut choices = Vec::new();
    let kind = match setting.kind {
        SettingKind::Text => "text",
        SettingKind::Digits => "digits",
        SettingKind::Choice(of) => {
            choices = of.to_vec();
            "choice"
        }
        SettingKind::Boolean => "boolean",
        SettingKind::Count => "count",
        SettingKind::Fraction => "fraction",
        SettingKind::Duration => "duration",
        SettingKind::Url => "url",
        SettingKind::Host => "host",
        SettingKind::Texts => "texts",
    };
    let default = setting.default.and_then(|json| Value::parse(json).ok());
    SettingForm {
        key: setting.key,
        label: setting.label,
        help: setting.help,
        kind,
        choices,
        required: setting.required,
        default: default.map(|value| Json(value.into_owned())),
    }
}

fn action(form: &'static ActionType) -> ActionForm {
    ActionForm {
        slug: form.slug,
        title: form.title,
        description: form.description,
        fields: form.fields.iter().map(field).collect(),
        default_mapping: Json(Value::Object(destinations::default_mapping(form))),
    }
}

fn field(field: &'static Field) -> FieldForm {
    FieldForm {
        key: field.key,
        label: field.label,
        description: field.description,
        kind: match field.kind {
            FieldKind::String => "string",
            FieldKind::Text => "text",
            FieldKind::Number => "number",
            FieldKind::Integer => "integer",
            FieldKind::Boolean => "boolean",
            FieldKind::Datetime => "datetime",
            FieldKind::Object => "object",
        },
        required: field.required,
        allow_null: field.allow_null,
        multiple: field.multiple,
        choices: field.choices.to_vec(),
    }
}
