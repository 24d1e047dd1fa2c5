//! Dates and times as events carry them, read to milliseconds and printed in one form.

/// A moment in milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;
