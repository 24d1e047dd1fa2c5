//! A server with a shop's web site as a source, and plain requests of its pages.

use reqwest::header::{HeaderMap, HeaderName};
use serde_json::Value;

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
