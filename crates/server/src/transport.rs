//! Sends one bulk request to a destination and brings back its answer, or why there was none.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use heapline_action::plan::{Answer, Endpoint};

/// The HTTP client of all couriers. Cheap to clone.
#[derive(Clone)]
pub struct Transport {
    client: reqwest::Client,
}

/// Most bytes of an answer that are kept: enough for a sentence, little enough for the ledger.
const EXCERPT: usize = 1024;

impl Transport {
    /// A client whose requests end after `timeout`. Redirects are not followed.
    pub fn new(timeout: Duration) -> Result<Transport> {
        // Fails only if a provider was installed before, which serves as well.
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = reqwest::Client::builder()
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("heapline/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("cannot set up the HTTP client")?;
        Ok(Transport { client })
    }

    /// Sends `body` to `endpoint`. Without an answer the status is 0, and the excerpt says what
    /// went wrong on the way.
    pub async fn send(&self, endpoint: &Endpoint, body: Vec<u8>) -> Answer {
        let method = reqwest::Method::from_bytes(endpoint.method.as_bytes())
            .expect("a destination names a real method");
        let request = self
            .client
            .request(method, &endpoint.url)
            .header("content-type", "application/json")
            .body(body);
        match request.send().await {
            Ok(response) => read(response).await,
            Err(e) => no_answer(&e),
        }
    }
}

async fn read(mut response: reqwest::Response) -> Answer {
    let status = response.status().as_u16();
    let retry_after_ms = response
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok())
        .and_then(|text| retry_after(text, SystemTime::now()));
    let mut body = Vec::new();
    while body.len() < EXCERPT {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            // The status decides; half a body is no reason to doubt it.
            Err(_) => break,
        }
    }
    body.truncate(EXCERPT);
    let excerpt = String::from_utf8_lossy(&body).into_owned();
    Answer { status, retry_after_ms, excerpt }
}

fn no_answer(e: &reqwest::Error) -> Answer {
    let what = if e.is_timeout() {
        "no answer in time".to_owned()
    } else if e.is_connect() {
        format!("cannot connect: {}", innermost(e))
    } else {
        format!("the connection broke: {}", innermost(e))
    };
    Answer { status: 0, retry_after_ms: None, excerpt: what }
}

fn innermost(e: &dyn std::error::Error) -> String {
    let mut inner = e;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// Milliseconds from `now` that a `Retry-After` (RFC 9110, 10.2.3: seconds or a date) asks for.
fn retry_after(text: &str, now: SystemTime) -> Option<u64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(seconds.saturating_mul(1000));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_millisecond();
    let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_millis();
    u64::try_from(i128::from(date) - i128::try_from(now).ok()?).ok().or(Some(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        assert_eq!(retry_after(" 7 ", now), Some(7000));
        assert_eq!(retry_after("Tue, 14 Nov 2023 22:13:30 GMT", now), Some(10_000));
        assert_eq!(retry_after("Tue, 14 Nov 2023 22:13:10 GMT", now), Some(0));
        assert_eq!(retry_after("soon", now), None);
    }
}
