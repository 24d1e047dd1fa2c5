//! The style sheet, the script and the fonts, compressed and named by what they hold.

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

struct File {
    name: &'static str,
    hashed: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
    gzip: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The address of an asset; `None` if it wasn't there when the program was built.
pub(super) fn address(name: &str) -> Option<String> {
    FILES.iter().find(|file| file.name == name).map(|file| format!("/assets/{}", file.hashed))
}

/// An asset never changes under its name, so browsers may keep it for good.
pub(super) async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(file) = FILES.iter().find(|file| file.hashed == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let accepts = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let gzip = accepts.is_some_and(|list| list.contains("gzip")) && !file.kind.starts_with("font/");
    let mut response = if gzip {
        ([(header::CONTENT_ENCODING, "gzip")], file.gzip).into_response()
    } else {
        file.bytes.into_response()
    };
    for (name, value) in [
        (header::CONTENT_TYPE, file.kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::VARY, "accept-encoding"),
    ] {
        response.headers_mut().insert(name, header::HeaderValue::from_static(value));
    }
    response
}
