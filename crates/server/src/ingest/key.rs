//! Write keys: where they stand in a request, and what to say about a wrong one.

use std::borrow::Cow;
use std::collections::HashMap;

use axum::extract::Query;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::Uri;

use super::answer::{Code, Fault};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The key of an `Authorization` header: the user name of Basic, or the token of Bearer.
pub(super) fn from_header(authorization: &str) -> Option<Cow<'_, str>> {
    let (scheme, credentials) = authorization.trim().split_once(' ')?;
    let credentials = credentials.trim();
    let key = if scheme.eq_ignore_ascii_case("bearer") {
        Cow::Borrowed(credentials)
    } else if scheme.eq_ignore_ascii_case("basic") {
        let decoded = String::from_utf8(BASE64.decode(credentials).ok()?).ok()?;
        let user = decoded.split_once(':').map_or(decoded.as_str(), |(user, _password)| user);
        Cow::Owned(user.to_owned())
    } else {
        return None;
    };
    (!key.is_empty()).then_some(key)
}

/// The key of `?writeKey=`.
pub(super) fn from_address(address: &Uri) -> Option<String> {
    let Query(mut pairs) = Query::<HashMap<String, String>>::try_from_uri(address).ok()?;
    pairs.remove("writeKey").filter(|key| !key.is_empty())
}

/// No key in the request at all.
pub(super) fn missing() -> Fault {
    let expected = "a write key as Basic user name, as Bearer token, as \"writeKey\" in the body, or \
                    as ?writeKey= in the address";
    Fault::new(Code::UnknownWriteKey, "writeKey", expected, "none")
}

/// A key that no source has. Never shows it.
pub fn unknown(key: &str) -> Fault {
    let expected = "a write key of one of this server's sources (check that it is complete, and that \
                    it belongs to this server and not to another region or environment)";
    let found = match key.split('_').nth(1) {
        Some(region @ ("us" | "eu")) if key.starts_with("pk_") || key.starts_with("sk_") => {
            format!("an unknown key that looks like Customer.io's, region {region}")
        }
        _ => "an unknown key".to_owned(),
    };
    Fault::new(Code::UnknownWriteKey, "writeKey", expected, found)
}

/// The key of a source that is switched off.
pub(super) fn disabled(source: &str) -> Fault {
    let found = format!("the key of source {source:?}, which is disabled");
    Fault::new(Code::UnknownWriteKey, "writeKey", "the key of an enabled source", found)
}

/// Replaces the values of members `writeKey` in a piece of JSON, however it is cut.
pub(super) fn hide(excerpt: &str) -> String {
    const NAME: &str = "\"writeKey\"";
    let mut out = String::with_capacity(excerpt.len());
    let mut rest = excerpt;
    while let Some((before, after)) = rest.split_once(NAME) {
        out.push_str(before);
        out.push_str(NAME);
        let value = after.trim_start().strip_prefix(':').map(str::trim_start);
        match value.and_then(|value| value.strip_prefix('"')) {
            Some(value) => {
                out.push_str(":\"…\"");
                rest = value.split_once('"').map_or("", |(_, rest)| rest);
            }
            None => rest = after,
        }
    }
    out.push_str(rest);
    out
}
