//! The admin API and the command line that speaks it: steps of requests and answers, kept as data,
//! against a server of its own each.
#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is tests")]

mod cases;
mod commands;
mod description;
mod direct;
mod edits;
mod messages;
mod roles;
mod streams;
mod world;
