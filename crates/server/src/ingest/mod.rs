//! The door: HTTP requests of customer event clients become durable events.
