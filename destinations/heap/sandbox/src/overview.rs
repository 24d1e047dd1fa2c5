//! The summary: exact counts since the start.

use std::collections::BTreeMap;

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::Sandbox;
use crate::effects::EffectKind;
use crate::state::State as Inner;

/// Exact counts since the start or the last reset, whatever was dropped from the lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Requests to Heap's paths.
    pub requests: u64,
    /// The same by path and status; `closed` where the connection was closed without an answer.
    pub requests_by_path: BTreeMap<String, BTreeMap<String, u64>>,
    /// Events stored; repeated keys aren't.
    pub events: u64,
    /// Events that repeated an idempotency key.
    pub duplicates: u64,
    /// Users that exist now.
    pub users: u64,
    /// Accounts that exist now.
    pub accounts: u64,
    /// Calls reported by pages.
    pub web_calls: u64,
    /// Silent effects by kind.
    pub effects: BTreeMap<String, u64>,
}

impl Inner {
    pub(crate) fn summary(&self) -> Summary {
        Summary {
            requests: self.log.records.total(),
            requests_by_path: self
                .log
                .by_path
                .iter()
                .map(|(path, statuses)| {
                    let statuses = statuses.iter().map(|(s, count)| (s.to_string(), *count));
                    (path.to_string(), statuses.collect())
                })
                .collect(),
            events: self.events.total(),
            duplicates: self.duplicates,
            users: self.environments.values().map(|known| known.users.len() as u64).sum(),
            accounts: self.environments.values().map(|known| known.accounts.len() as u64).sum(),
            web_calls: self.web_calls.total(),
            effects: self
                .effect_counts
                .iter()
                .map(|(kind, count)| (effect_name(*kind), *count))
                .collect(),
        }
    }
}

fn effect_name(kind: EffectKind) -> String {
    match serde_json::to_value(kind) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(_) | Err(_) => format!("{kind:?}"),
    }
}

pub(crate) async fn summary(State(sandbox): State<Sandbox>) -> Response {
    JsonAnswer(sandbox.summary()).into_response()
}
