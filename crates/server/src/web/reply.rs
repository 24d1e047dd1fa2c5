//! Answers to pages, with their headers.

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE,
    ETAG, IF_NONE_MATCH, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::json;

use super::assets::Content;

/// How long an answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// Its address is its content.
    Forever,
    /// A script whose address stays while its content changes with the program.
    Short,
    /// A settings document: a browser may use an old one for long where it gets no new one.
    Settings,
}

impl Lifetime {
    fn header(self) -> &'static str {
        match self {
            Lifetime::Forever => "public, max-age=31536000, immutable",
            Lifetime::Short => "public, max-age=3600, stale-while-revalidate=86400",
            Lifetime::Settings => {
                "public, max-age=60, stale-while-revalidate=600, stale-if-error=86400"
            }
        }
    }
}

/// `content` in the best encoding that the request takes, or 304 if it has it already.
pub(super) fn content(
    content: &Content,
    lifetime: Lifetime,
    request: &HeaderMap,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    let headers = response.headers_mut();
    shared(headers);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(lifetime.header()));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    // Weak: all encodings of one content have it.
    let tag = format!("W/\"{}\"", content.hash);
    headers.insert(ETAG, HeaderValue::try_from(&tag).expect("a hash is printable"));
    if has_already(request, &tag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content.kind));
    let (encoding, bytes) = encoded(content, request);
    if let Some(encoding) = encoding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    *response.body_mut() = Full::new(bytes.clone());
    response
}

/// 404 that nobody keeps.
pub(super) fn missing(why: &str) -> Response<Full<Bytes>> {
    problem(StatusCode::NOT_FOUND, "not_found", why)
}

/// 404 to a settings request, readable by the page.
pub(super) fn unknown_key(why: &str) -> Response<Full<Bytes>> {
    problem(StatusCode::NOT_FOUND, "unknown_write_key", why)
}

/// 503 to a settings request before any workspace was read.
pub(super) fn starting() -> Response<Full<Bytes>> {
    problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the server is starting")
}

/// 503: the program lacks the file.
pub(super) fn not_built(why: &str) -> Response<Full<Bytes>> {
    problem(StatusCode::SERVICE_UNAVAILABLE, "web_assets_not_built", why)
}

fn problem(status: StatusCode, code: &str, why: &str) -> Response<Full<Bytes>> {
    let body = json!({ "code": code, "message": why, "meta": {} }).to_string();
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    shared(headers);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Any page may load and read it, and see how long it took.
fn shared(headers: &mut HeaderMap) {
    const POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
    const TIMING: HeaderName = HeaderName::from_static("timing-allow-origin");
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(POLICY, HeaderValue::from_static("cross-origin"));
    headers.insert(TIMING, HeaderValue::from_static("*"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

fn has_already(request: &HeaderMap, tag: &str) -> bool {
    let strong = tag.trim_start_matches("W/");
    let lines = request.get_all(IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(',').map(str::trim))
        .any(|known| known == "*" || known.trim_start_matches("W/") == strong)
}

fn encoded<'a>(content: &'a Content, request: &HeaderMap) -> (Option<&'static str>, &'a Bytes) {
    let lines = request.get_all(ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    let offers: Vec<&str> = lines.flat_map(|line| line.split(',').map(str::trim)).collect();
    let takes = |name: &str| {
        offers.iter().any(|offer| {
            let (coding, weight) = offer.split_once(';').unwrap_or((offer, ""));
            let weight =
                weight.trim().strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok());
            coding.trim().eq_ignore_ascii_case(name) && weight.is_none_or(|weight| weight > 0.0)
        })
    };
    match (&content.brotli, &content.gzip) {
        (Some(brotli), _) if takes("br") => (Some("br"), brotli),
        (_, Some(gzip)) if takes("gzip") => (Some("gzip"), gzip),
        (_, _) => (None, &content.plain),
    }
}
