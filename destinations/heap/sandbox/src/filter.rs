//! The filters of inspection lists.

use std::collections::BTreeMap;

use crate::clock::{Millis, Reading, read_time};

/// What a list is narrowed to. Each list says which filters it knows.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) app_id: Option<String>,
    pub(crate) identity: Option<String>,
    pub(crate) event: Option<String>,
    /// From this time on.
    pub(crate) since: Option<Millis>,
    /// Only what has a higher number.
    pub(crate) after: Option<u64>,
    pub(crate) limit: Option<usize>,
    pub(crate) path: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) kind: Option<String>,
}

impl Filter {
    pub(crate) fn read(query: &BTreeMap<String, String>, known: &[&str]) -> Result<Filter, String> {
        let mut filter = Filter::default();
        for (name, value) in query {
            if !known.contains(&name.as_str()) {
                return Err(format!("there is no filter `{name}` here: use {}", known.join(", ")));
            }
            let text = Some(value.clone());
            match name.as_str() {
                "app_id" => filter.app_id = text,
                "identity" => filter.identity = text,
                "event" => filter.event = text,
                "path" => filter.path = text,
                "status" => filter.status = text,
                "kind" => filter.kind = text,
                "since" => filter.since = Some(read_moment(value)?),
                "after" => filter.after = Some(read_number(name, value)?),
                "limit" => filter.limit = Some(read_number(name, value)?),
                _ => return Err(format!("there is no filter `{name}`")),
            }
        }
        Ok(filter)
    }

    /// Whether a thing of this app, number and time is inside.
    pub(crate) fn takes(&self, app_id: Option<&str>, number: u64, at: Millis) -> bool {
        self.takes_app(app_id)
            && self.since.is_none_or(|since| at >= since)
            && self.after.is_none_or(|after| number > after)
    }

    pub(crate) fn takes_app(&self, app_id: Option<&str>) -> bool {
        self.app_id.is_none() || self.app_id.as_deref() == app_id
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit.unwrap_or(usize::MAX)
    }
}

fn read_number<N: std::str::FromStr>(name: &str, text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("`{name}` is `{text}`; expected a whole number"))
}

/// ISO 8601, or milliseconds since 1970.
pub(crate) fn read_moment(text: &str) -> Result<Millis, String> {
    if let Ok(millis) = text.parse() {
        return Ok(millis);
    }
    match read_time(text) {
        Reading::Zoned(time) | Reading::Zoneless(time) => Ok(time),
        Reading::Unreadable => {
            Err(format!("`{text}` is no time; expected ISO 8601 or milliseconds since 1970"))
        }
    }
}
