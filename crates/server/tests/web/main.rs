//! Web mode: what pages are given, what they report, and real clients in a real browser.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod browser;
mod differential;
mod fallback;
mod receipts;
mod serving;
mod settings;
mod site;
#[allow(dead_code, unreachable_pub, reason = "shared with other tests, which use more of it")]
#[path = "../support/mod.rs"]
mod support;
mod watch;
