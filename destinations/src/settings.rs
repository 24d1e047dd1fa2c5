//! Checks the settings of a destination against its form, all faults at once.

use heapline_action::destination::{Fault, Setting, SettingKind};
use heapline_action::value::{Number, Object, Value};

use crate::notices::quoted;

/// The identities that are never sent, for the form of a destination that merges who shares one.
pub(crate) const fn refused_identities(help: &'static str) -> Setting {
    Setting {
        key: "refusedIdentities",
        label: "Refused identities",
        help,
        kind: SettingKind::Texts,
        required: false,
        default: Some(r#"["null","undefined","NaN","[object Object]"]"#),
    }
}

/// [`heapline_action::destination::Cloud::consent_categories`], as every form asks for them.
pub(crate) const CONSENT_CATEGORIES: Setting = Setting {
    key: "consentCategories",
    label: "Consent categories",
    help: "Categories that an event's consent stamp must grant. Empty: no check.",
    kind: SettingKind::Texts,
    required: false,
    default: Some("[]"),
};

/// Settings that passed their own checks, with defaults filled in. A faulty one is absent.
#[derive(Debug)]
pub(crate) struct Settings {
    values: Vec<(&'static str, Checked)>,
}

#[derive(Debug, PartialEq)]
enum Checked {
    Text(String),
    Flag(bool),
    Count(u64),
    Fraction(f64),
    Texts(Vec<String>),
}

/// Checks `given` by `form`. Unknown keys are faults that name the nearest known key.
pub(crate) fn check(form: &'static [Setting], given: &Object<'_>) -> (Settings, Vec<Fault>) {
    let mut values = Vec::with_capacity(form.len());
    let mut faults = Vec::new();
    for (key, _) in given.iter() {
        if !form.iter().any(|setting| setting.key == key) {
            faults.push(fault(key, unknown(form, key)));
        }
    }
    for setting in form {
        let checked = match given.get(setting.key) {
            Some(value) => read(&setting.kind, value).map(Some),
            None if setting.required => Err("is required".to_owned()),
            None => Ok(setting.default.map(|json| default(setting, json))),
        };
        match checked {
            Ok(Some(checked)) => values.push((setting.key, checked)),
            Ok(None) => {}
            Err(message) => faults.push(fault(setting.key, message)),
        }
    }
    (Settings { values }, faults)
}

/// One fault at the setting `key`.
pub(crate) fn fault(key: &str, message: impl Into<String>) -> Fault {
    Fault { path: key.to_owned(), message: message.into() }
}

impl Settings {
    fn value(&self, key: &str) -> Option<&Checked> {
        self.values.iter().find(|(k, _)| *k == key).map(|(_, value)| value)
    }

    /// The text of a setting, if it is given and right or has a default.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match self.value(key)? {
            Checked::Text(text) => Some(text),
            Checked::Flag(_) | Checked::Count(_) | Checked::Fraction(_) | Checked::Texts(_) => None,
        }
    }

    /// True if the setting is on.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.value(key) == Some(&Checked::Flag(true))
    }

    /// The whole number of a setting, or the milliseconds of a duration; 0 if there is none.
    pub(crate) fn count(&self, key: &str) -> u64 {
        match self.value(key) {
            Some(Checked::Count(n)) => *n,
            Some(
                Checked::Text(_) | Checked::Flag(_) | Checked::Fraction(_) | Checked::Texts(_),
            )
            | None => 0,
        }
    }

    /// A number from 0 to 1; 0 if there is none.
    pub(crate) fn fraction(&self, key: &str) -> f64 {
        match self.value(key) {
            Some(Checked::Fraction(n)) => *n,
            Some(Checked::Text(_) | Checked::Flag(_) | Checked::Count(_) | Checked::Texts(_))
            | None => 0.0,
        }
    }

    /// The texts of a list; none if there is no list.
    pub(crate) fn texts(&self, key: &str) -> &[String] {
        match self.value(key) {
            Some(Checked::Texts(texts)) => texts,
            Some(
                Checked::Text(_) | Checked::Flag(_) | Checked::Count(_) | Checked::Fraction(_),
            )
            | None => &[],
        }
    }
}

fn default(setting: &Setting, json: &'static str) -> Checked {
    let value = Value::parse(json).expect("defaults of settings are JSON");
    read(&setting.kind, &value).expect("defaults of settings are right")
}

fn unknown(form: &[Setting], key: &str) -> String {
    let distance = |setting: &&Setting| {
        strsim::damerau_levenshtein(&setting.key.to_lowercase(), &key.to_lowercase())
    };
    match form.iter().min_by_key(distance) {
        Some(nearest) => format!("is no setting; the nearest one is \"{}\"", nearest.key),
        None => "is no setting; there are none".to_owned(),
    }
}

fn read(kind: &SettingKind, value: &Value<'_>) -> Result<Checked, String> {
    let expected = match kind {
        SettingKind::Text => "text",
        SettingKind::Digits => "digits as text, such as \"11\"",
        SettingKind::Choice(words) => {
            return match value.as_text() {
                Some(word) if words.contains(&word) => Ok(Checked::Text(word.to_owned())),
                _ => Err(format!("expected {}, found {}", one_of(words), found(value))),
            };
        }
        SettingKind::Boolean => "true or false",
        SettingKind::Count => "a whole number from 0 to 4294967295",
        SettingKind::Fraction => "a number from 0 to 1",
        SettingKind::Duration => "a duration such as \"72h\" (units: ms, s, m, h, d)",
        SettingKind::Url => "an address such as \"https://heap.example.com\"",
        SettingKind::Host => "a host name without scheme and path, such as \"heap.example.com\"",
        SettingKind::Texts => "a list of texts",
    };
    let checked = match (kind, value) {
        (SettingKind::Text, Value::Text(text)) if !text.trim().is_empty() => {
            Some(Checked::Text(text.to_string()))
        }
        (SettingKind::Digits, Value::Text(text))
            if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) =>
        {
            Some(Checked::Text(text.to_string()))
        }
        (SettingKind::Boolean, Value::Bool(flag)) => Some(Checked::Flag(*flag)),
        (SettingKind::Count, Value::Number(Number::Int(n))) => {
            u32::try_from(*n).ok().map(|n| Checked::Count(u64::from(n)))
        }
        (SettingKind::Fraction, Value::Number(n)) if (0.0..=1.0).contains(&n.as_f64()) => {
            Some(Checked::Fraction(n.as_f64()))
        }
        (SettingKind::Duration, Value::Text(text)) => duration_ms(text).map(Checked::Count),
        (SettingKind::Url, Value::Text(text)) => address(text).map(Checked::Text),
        (SettingKind::Host, Value::Text(text)) if is_host(text) => {
            Some(Checked::Text(text.to_string()))
        }
        (SettingKind::Texts, Value::Array(items)) => {
            let texts: Option<Vec<&str>> = items.iter().map(Value::as_text).collect();
            texts.map(|texts| Checked::Texts(texts.into_iter().map(str::to_owned).collect()))
        }
        _ => None,
    };
    let mut hint = String::new();
    if let (SettingKind::Digits, Value::Number(Number::Int(0..) | Number::UInt(_))) = (kind, value)
    {
        hint = format!("; put it in quotes: \"{}\"", value.to_json());
    }
    checked.ok_or_else(|| format!("expected {expected}, found {}{hint}", found(value)))
}

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// What was found, as a person would say it.
pub(crate) fn found(value: &Value<'_>) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(n) => format!("the number {}", n.to_text()),
        Value::Text(text) if text.is_empty() => "an empty text".to_owned(),
        Value::Text(text) => quoted(text),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// Milliseconds of a text such as `72h`: digits and one of the units `ms`, `s`, `m`, `h`, `d`.
fn duration_ms(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit_ms)
}

/// The address without slashes at its end, if it is absolute, `http` or `https`, and plain.
fn address(text: &str) -> Option<String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let plain = path.bytes().all(|b| b.is_ascii_graphic() && !b"?#\\\"<>".contains(&b));
    (is_host(host) && plain).then(|| text.trim_end_matches('/').to_owned())
}

/// True for a host name or address with an optional port.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, rest)) => {
            let hex = v6.bytes().all(|b| b.is_ascii_hexdigit() || b == b':' || b == b'.');
            if v6.is_empty() || !hex {
                return false;
            }
            match rest.strip_prefix(':') {
                Some(port) => ("v6", Some(port)),
                None if rest.is_empty() => ("v6", None),
                None => return false,
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let label = |label: &str| {
        !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
    };
    host.split('.').all(label) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        for (text, ms) in [
            ("72h", Some(259_200_000)),
            ("30d", Some(2_592_000_000)),
            ("90s", Some(90_000)),
            ("5m", Some(300_000)),
            ("500ms", Some(500)),
            ("0s", Some(0)),
            ("", None),
            ("h", None),
            ("72", None),
            ("72 h", None),
            ("-1h", None),
            ("1.5h", None),
            ("1h30m", None),
            ("1w", None),
            ("99999999999999999999h", None),
            ("9999999999999999999d", None),
        ] {
            assert_eq!(duration_ms(text), ms, "{text}");
        }
    }

    #[test]
    fn addresses_are_absolute_and_lose_their_last_slash() {
        for (text, expected) in [
            ("https://heap.example.com", Some("https://heap.example.com")),
            ("http://127.0.0.1:9100/", Some("http://127.0.0.1:9100")),
            ("http://[::1]:9100", Some("http://[::1]:9100")),
            ("https://p.example/heap/", Some("https://p.example/heap")),
            ("heap.example.com", None),
            ("ftp://heap.example.com", None),
            ("https://", None),
            ("https:///x", None),
            ("https://a b", None),
            ("https://h.example/?x=1", None),
            ("https://h.example:99999", None),
        ] {
            assert_eq!(address(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn hosts_have_no_scheme_and_no_path() {
        for text in
            ["heap.example.com", "localhost:9100", "127.0.0.1", "[::1]:80", "bücher.example"]
        {
            assert!(is_host(text), "{text}");
        }
        for text in ["", "https://h.example", "h.example/js", "h..example", "a b", "h:x", "[::1"] {
            assert!(!is_host(text), "{text}");
        }
    }
}
