//! A server with a shop's web site as a source, and plain requests of its pages.

use reqwest::header::{HeaderMap, HeaderName};
use serde_json::{Value, json};

use crate::support::client::plain_http;
use crate::support::house::House;
use crate::support::workspace::Workspace;

/// The site's write key.
pub(crate) const KEY: &str = "wk_site";

/// Heap (Web) on the site; `more` are further members.
pub(crate) fn heap_web(more: &str) -> String {
    format!(
        r#"
[[integrations]]
id = "heap-web-prod"
destination = "heap-web"
sources = ["site"]
{more}
"#
    )
}

/// The source `site`, and `more` after it.
pub(crate) fn site(heap: &str, more: &str) -> Workspace {
    Workspace::to(heap).more(&format!(
        r#"
[[sources]]
id = "site"
kind = "javascript"
writeKeys = ["{KEY}", "wk_site_next"]
{more}
"#
    ))
}

/// A page's answer.
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// GET as a page does it.
pub(crate) async fn get(house: &House, path: &str, headers: &[(&str, &str)]) -> Got {
    let mut request = plain_http().get(format!("http://{}{path}", house.server().address()));
    for (name, value) in headers {
        request = request.header(name.parse::<HeaderName>().unwrap(), *value);
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Got { status, headers, body: response.bytes().await.unwrap().to_vec() }
}

/// The site's settings document.
pub(crate) async fn document(house: &House) -> Value {
    let got = get(house, &format!("/v1/projects/{KEY}/settings"), &[]).await;
    assert_eq!(got.status, 200);
    got.json()
}

const FIREFOX: &str = "Mozilla/5.0 (X11; rv:140.0) Gecko/20100101 Firefox/140.0";

/// Reports as the plugin does.
pub(crate) async fn report(house: &House, receipts: Value) {
    let body = json!({ "v": 1, "writeKey": KEY, "plugin": "heap-web@1.0.0", "revision": 1,
                       "sentAt": "2026-11-24T12:00:00.000Z", "receipts": receipts });
    let request = plain_http().post(format!("http://{}/v1/r", house.server().address()));
    let request = request.header("content-type", "text/plain").header("user-agent", FIREFOX);
    let response = request.body(body.to_string()).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.text().await.unwrap(), "{}");
}
