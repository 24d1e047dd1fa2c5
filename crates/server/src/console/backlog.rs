//! How far behind an integration is.

use heapline_action::destination::Configured;

use super::Console;
use crate::control::{Problem, TroubleView};
use crate::server::now;
use crate::workspace::Integration;

/// An integration is behind once an event has waited for so long, in milliseconds.
const BEHIND: i64 = 60_000;

/// How far behind an integration is.
#[derive(Clone, Debug)]
pub(super) struct Backlog {
    pub(super) health: Health,
    /// Events that it has still to settle; none if the page delivers.
    pub(super) waiting: u64,
    /// When the oldest of them arrived, RFC 3339.
    pub(super) oldest: Option<String>,
    /// Endpoints that refuse everything.
    pub(super) held: Vec<TroubleView>,
}

/// How an integration does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Good,
    Behind,
    /// The destination refuses everything.
    Held,
    Off,
}

impl Health {
    /// The class of its tag.
    pub(super) fn class(self) -> &'static str {
        match self {
            Health::Good => "on",
            Health::Behind => "refused",
            Health::Held => "failed",
            Health::Off => "off",
        }
    }

    /// Its word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Health::Good => "healthy",
            Health::Behind => "behind",
            Health::Held => "held",
            Health::Off => "off",
        }
    }
}

/// How far behind `integration` is now.
pub(super) fn backlog(console: &Console, integration: &Integration) -> Result<Backlog, Problem> {
    let store = &console.control.store;
    let (waiting, since) = match integration.configured {
        Configured::Web(_) => (0, None),
        Configured::Cloud(_) => {
            let next = store.extent().next;
            let at = store.cursor(&integration.id)?.unwrap_or(next);
            let oldest = if at < next { store.event(at)? } else { None };
            (next.saturating_sub(at), oldest.map(|stored| stored.event.received_at))
        }
    };
    let late = since.is_some_and(|at| now().saturating_sub(at) > BEHIND);
    let mut held = console.control.troubles(integration);
    held.retain(TroubleView::is_hold);
    let health = match (integration.enabled, late) {
        (false, _) => Health::Off,
        (true, _) if !held.is_empty() => Health::Held,
        (true, true) => Health::Behind,
        (true, false) => Health::Good,
    };
    Ok(Backlog { health, waiting, oldest: since.map(heapline_action::datetime::print), held })
}
