//! The door, from HTTP request to stored event and answer.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod cases;
mod http;
mod laws;
mod limits;
mod mutations;
mod replay;
mod store;
mod support;
mod wire;
