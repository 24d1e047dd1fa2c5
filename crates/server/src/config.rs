//! The server's settings: the commented default file, with a file of the operator's on top.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use bytesize::ByteSize;
use serde::{Deserialize, Deserializer};

/// The default file, which is the documentation of every setting.
pub const DEFAULTS: &str = include_str!("../../../heapline.default.toml");

/// All settings of the server. See [`DEFAULTS`] for what each means.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the default file documents each setting")]
pub struct Config {
    pub server: Server,
    pub door: Door,
    pub journal: Journal,
    pub delivery: Delivery,
    pub telemetry: Telemetry,
}

/// `[server]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the default file documents each setting")]
pub struct Server {
    pub listen: SocketAddr,
    pub public_address: String,
    pub trusted_proxies: Vec<String>,
    pub max_requests: usize,
    #[serde(deserialize_with = "duration")]
    pub stop_within: Duration,
}

/// `[door]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the default file documents each setting")]
pub struct Door {
    pub max_item: ByteSize,
    pub max_batch: ByteSize,
    pub max_items: usize,
    pub max_depth: usize,
    #[serde(deserialize_with = "duration")]
    pub dedup_window: Duration,
    pub keep_refused: usize,
}

/// `[journal]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the default file documents each setting")]
pub struct Journal {
    #[serde(deserialize_with = "duration")]
    pub max_age: Duration,
    pub max_size: ByteSize,
    pub segment_size: ByteSize,
}

/// `[delivery]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the default file documents each setting")]
pub struct Delivery {
    #[serde(deserialize_with = "duration")]
    pub timeout: Duration,
    pub max_in_flight: usize,
    #[serde(deserialize_with = "duration")]
    pub linger: Duration,
    #[serde(deserialize_with = "duration")]
    pub first_backoff: Duration,
    #[serde(deserialize_with = "duration")]
    pub max_backoff: Duration,
    pub max_events: usize,
    pub max_bytes: ByteSize,
    #[serde(deserialize_with = "duration")]
    pub fallback_wait: Duration,
}

/// `[telemetry]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the default file documents each setting")]
pub struct Telemetry {
    pub log: String,
    pub log_format: LogFormat,
    pub otlp_endpoint: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// Text.
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// The defaults, with the settings of `file` on top. Unknown keys are errors.
    pub fn load(file: Option<&Path>) -> Result<Config> {
        let Some(file) = file else { return Config::with("") };
        let text = std::fs::read_to_string(file);
        let text = text.with_context(|| format!("cannot read the settings {}", file.display()))?;
        Config::with(&text).with_context(|| format!("in the settings {}", file.display()))
    }

    fn with(text: &str) -> Result<Config> {
        let mut whole: toml::Table = DEFAULTS.parse().context("in the default settings")?;
        merge(&mut whole, text.parse()?);
        Ok(whole.try_into()?)
    }
}

fn merge(base: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(over)) => merge(base, over),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    humantime::parse_duration(&text).map_err(|e| {
        serde::de::Error::custom(format!(
            "expected a duration such as \"90s\", found {text:?}: {e}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_file_is_complete_and_right() {
        let config = Config::load(None).unwrap();
        assert_eq!(config.door.dedup_window, Duration::from_secs(24 * 3600));
        assert_eq!(config.journal.max_size.as_u64(), 20_000_000_000);
    }

    #[test]
    fn a_file_changes_only_what_it_names() {
        let config = Config::with("[door]\nmaxItems = 7").unwrap();
        assert_eq!((config.door.max_items, config.door.max_depth), (7, 64));
    }

    #[test]
    fn an_unknown_key_and_a_bad_duration_are_errors_that_say_what_was_expected() {
        let unknown = Config::with("[door]\nmaxitems = 7").unwrap_err().to_string();
        assert!(unknown.contains("maxitems") && unknown.contains("maxItems"), "{unknown}");
        let bad = Config::with("[delivery]\nlinger = \"soon\"").unwrap_err().to_string();
        assert!(bad.contains("expected a duration"), "{bad}");
    }
}
