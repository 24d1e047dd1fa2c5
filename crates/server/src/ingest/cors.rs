//! What browsers are told about who may call.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, VARY,
};
use http::{HeaderMap, HeaderValue};

/// Request headers that a page may send; names that start with [`ALLOWED_PREFIX`] too.
const ALLOWED: [&str; 6] =
    ["authorization", "content-type", "x-retry-count", "x-strict-mode", "anonymousid", "sentat"];
const ALLOWED_PREFIX: &str = "rsa-retry-";

/// Any page may read the answer.
pub(super) fn open(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After"));
}

/// No page may read the answer.
pub(super) fn shut(headers: &mut HeaderMap) {
    headers.remove(ACCESS_CONTROL_ALLOW_ORIGIN);
    headers.remove(ACCESS_CONTROL_EXPOSE_HEADERS);
}

/// The answer to a preflight: the requested names that are on our list, or all of the list.
pub(super) fn preflight(request: &HeaderMap, headers: &mut HeaderMap) {
    open(headers);
    let methods = HeaderValue::from_static("GET, POST, OPTIONS");
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    // Chromium keeps a preflight no longer than this.
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
    headers.insert(VARY, HeaderValue::from_static("Access-Control-Request-Headers"));

    let lines = request.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
    let names = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    let names = names.map(|name| name.trim().to_ascii_lowercase());
    let mut allowed: Vec<String> = names.filter(|name| is_allowed(name)).collect();
    if allowed.is_empty() {
        allowed = ALLOWED.map(str::to_owned).to_vec();
    }
    if let Ok(value) = HeaderValue::try_from(allowed.join(", ")) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, value);
    }
}

fn is_allowed(name: &str) -> bool {
    ALLOWED.contains(&name) || name.starts_with(ALLOWED_PREFIX)
}
