//! The settings of a destination as a form: drawn from its definition, read back by it.

use heapline_action::destination::{Definition, Fault, Setting, SettingKind};
use heapline_action::value::{Object, Value};

use super::fields::Fields;
use super::oops::sentence;

/// One setting in the form.
#[derive(Clone, Debug)]
pub(super) struct Input {
    pub(super) key: &'static str,
    pub(super) label: &'static str,
    pub(super) help: &'static str,
    pub(super) control: Control,
    pub(super) required: bool,
    pub(super) value: String,
    pub(super) placeholder: String,
    pub(super) fault: String,
    /// True if it is written, rather than left to its default.
    pub(super) written: bool,
}

/// Settings that are seen at once; a destination names the weightiest first. The others unfold.
pub(super) const SHOWN: usize = 5;

/// True if something is to be seen among the settings that unfold.
pub(super) fn is_special(inputs: &[Input]) -> bool {
    inputs.iter().skip(SHOWN).any(|input| input.written || !input.fault.is_empty())
}

/// What the visitor sees of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Control {
    Line { digits: bool },
    Lines,
    Choice(Vec<&'static str>),
    Check,
}

/// The form of a destination, filled with `settings`.
pub(super) fn inputs(definition: &Definition, settings: &Object<'_>) -> Vec<Input> {
    definition.settings.iter().map(|setting| input(setting, settings.get(setting.key))).collect()
}

/// The settings that a posted form says: those alone that differ from their defaults.
pub(super) fn read(definition: &Definition, fields: &Fields) -> Object<'static> {
    let mut settings = Object::new();
    for setting in definition.settings {
        let name = format!("s.{}", setting.key);
        let text = fields.text(&name);
        let value = match setting.kind {
            SettingKind::Boolean => Some(Value::Bool(fields.has(&name))),
            SettingKind::Texts => {
                let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
                Some(Value::Array(lines.map(|line| Value::from(line.to_owned())).collect()))
            }
            SettingKind::Count | SettingKind::Fraction if !text.is_empty() => {
                let number = Value::parse(text).map(Value::into_owned).ok();
                let number = number.filter(|value| matches!(value, Value::Number(_)));
                Some(number.unwrap_or_else(|| Value::from(text.to_owned())))
            }
            SettingKind::Text
            | SettingKind::Digits
            | SettingKind::Choice(_)
            | SettingKind::Duration
            | SettingKind::Url
            | SettingKind::Host
                if !text.is_empty() =>
            {
                Some(Value::from(text.to_owned()))
            }
            SettingKind::Count
            | SettingKind::Fraction
            | SettingKind::Text
            | SettingKind::Digits
            | SettingKind::Choice(_)
            | SettingKind::Duration
            | SettingKind::Url
            | SettingKind::Host => None,
        };
        if let Some(value) = value.filter(|value| default(setting).as_ref() != Some(value)) {
            settings.insert(setting.key, value);
        }
    }
    settings
}

/// Tells each input its fault; gives those that belong to none.
pub(super) fn tell(inputs: &mut [Input], faults: &[Fault]) -> Vec<String> {
    let mut others = Vec::new();
    for fault in faults {
        let key = fault.path.rsplit_once("settings.").map_or(&*fault.path, |(_, key)| key);
        let input = inputs.iter_mut().find(|input| {
            let rest = key.strip_prefix(input.key);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']))
        });
        match input {
            Some(input) => input.fault = sentence(&fault.message),
            None => others.push(sentence(&fault.to_string())),
        }
    }
    others
}

fn default(setting: &Setting) -> Option<Value<'static>> {
    setting.default.and_then(|json| Value::parse(json).ok()).map(Value::into_owned)
}

fn input(setting: &'static Setting, given: Option<&Value<'_>>) -> Input {
    let default = default(setting);
    let (control, fills) = match &setting.kind {
        SettingKind::Boolean => (Control::Check, true),
        SettingKind::Choice(of) => (Control::Choice(of.to_vec()), true),
        SettingKind::Texts => (Control::Lines, true),
        SettingKind::Digits | SettingKind::Count => (Control::Line { digits: true }, false),
        SettingKind::Text
        | SettingKind::Fraction
        | SettingKind::Duration
        | SettingKind::Url
        | SettingKind::Host => (Control::Line { digits: false }, false),
    };
    let shown = given.or(if fills { default.as_ref() } else { None });
    Input {
        key: setting.key,
        label: setting.label,
        help: setting.help,
        control,
        required: setting.required,
        value: shown.map(plain).unwrap_or_default(),
        placeholder: default.as_ref().map(plain).unwrap_or_default(),
        fault: String::new(),
        written: given.is_some(),
    }
}

/// A value as it stands in an input.
fn plain(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => text.to_string(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join("\n"),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_json(),
    }
}

impl Input {
    pub(super) fn described_by(&self) -> String {
        format!("help-{0} fault-{0}", self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heapline_destinations as destinations;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        Fields(pairs.iter().map(|(k, v)| (format!("s.{k}"), (*v).to_owned())).collect())
    }

    /// What a browser would post of the form.
    fn posted(inputs: &[Input]) -> Fields {
        let sent = inputs.iter().filter(|i| i.control != Control::Check || i.value == "true");
        Fields(sent.map(|i| (format!("s.{}", i.key), i.value.clone())).collect())
    }

    #[test]
    fn a_form_that_is_only_looked_at_changes_nothing() {
        for (slug, settings) in [
            (
                "heap",
                r#"{"appId":"11","anonymous":"hold","eventsPerMinute":0,"refusedIdentities":["0"]}"#,
            ),
            ("heap", r#"{"appId":"11"}"#),
            ("heap-web", r#"{"appId":"11","secureCookie":true}"#),
        ] {
            let definition = destinations::find(slug).unwrap().definition();
            let Value::Object(settings) = Value::parse(settings).unwrap() else { panic!() };
            let read = read(definition, &posted(&inputs(definition, &settings)));
            assert_eq!(read, settings, "{slug}");
        }
    }

    #[test]
    fn what_is_no_number_goes_on_to_the_destination_which_says_so() {
        let heap = destinations::find("heap").unwrap();
        let settings =
            read(heap.definition(), &fields(&[("appId", "11"), ("eventsPerMinute", "many")]));
        let faults = heap.configure(&settings).err().unwrap();
        let mut inputs = inputs(heap.definition(), &settings);
        assert!(tell(&mut inputs, &faults).is_empty());
        let wrong: Vec<_> = inputs.iter().filter(|i| !i.fault.is_empty()).map(|i| i.key).collect();
        assert_eq!(wrong, ["eventsPerMinute"]);
    }
}
