//! The sandbox's clock: the system's at the edge, and one that can be stopped, set and moved.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;

/// Where the sandbox reads the time, as [`Millis`].
pub type TimeSource = Arc<dyn Fn() -> Millis + Send + Sync>;

/// The system's time.
pub fn system_time() -> TimeSource {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
    })
}

#[derive(Clone)]
pub(crate) struct Clock {
    source: TimeSource,
    shift: Millis,
    stopped: Option<Millis>,
}

impl Clock {
    pub(crate) fn new(source: TimeSource) -> Clock {
        Clock { source, shift: 0, stopped: None }
    }

    pub(crate) fn now(&self) -> Millis {
        self.stopped.unwrap_or_else(|| (self.source)().saturating_add(self.shift))
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    pub(crate) fn stop_at(&mut self, now: Millis) {
        self.stopped = Some(now);
    }

    /// From the present reading on, time passes as it does at the source.
    pub(crate) fn run(&mut self) {
        self.shift = self.now().saturating_sub((self.source)());
        self.stopped = None;
    }

    pub(crate) fn advance(&mut self, by: Millis) {
        match &mut self.stopped {
            Some(now) => *now = now.saturating_add(by),
            None => self.shift = self.shift.saturating_add(by),
        }
    }
}

/// What a timestamp's text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    Zoned(Millis),
    /// A date, or a date and time, without an offset: read as UTC.
    Zoneless(Millis),
    Unreadable,
}

/// Reads ISO 8601.
pub(crate) fn read_time(text: &str) -> Reading {
    // jiff takes RFC 9557's annotations (`…Z[Europe/Paris]`), which ISO 8601 doesn't have.
    if text.contains('[') {
        return Reading::Unreadable;
    }
    if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
        return Reading::Zoned(timestamp.as_millisecond());
    }
    let civil = text.parse::<jiff::civil::DateTime>();
    match civil.and_then(|civil| jiff::tz::Offset::UTC.to_timestamp(civil)) {
        Ok(timestamp) => Reading::Zoneless(timestamp.as_millisecond()),
        Err(_) => Reading::Unreadable,
    }
}

/// Reads Unix time. Seconds and milliseconds are both in use; a number below 10^11 is seconds
/// (as milliseconds it would lie before March 1973).
pub(crate) fn read_epoch(number: f64) -> Option<Millis> {
    let millis = if number.abs() < 1e11 { number * 1000.0 } else { number };
    let millis = millis.trunc();
    jiff::Timestamp::from_millisecond(millis as i64).ok().map(|t| t.as_millisecond())
}

pub(crate) fn print_time(millis: Millis) -> String {
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(timestamp) => format!("{timestamp:.3}"),
        Err(_) => millis.to_string(),
    }
}
