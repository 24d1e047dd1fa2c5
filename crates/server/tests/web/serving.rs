//! Scripts for pages: which, where, how long, how compressed.

use std::io::Read;

use crate::site::{document, get, heap_web, site};
use crate::support::house::House;

const NOBODY: &str = "http://127.0.0.1:9";

async fn shop() -> House {
    House::start(&site(NOBODY, &heap_web(r#"settings = { appId = "11" }"#))).await
}

async fn plugin_path(house: &House) -> String {
    let document = document(house).await;
    let url = document["remotePlugins"][0]["url"].as_str().expect("run `cargo xtask setup`");
    let path = url.split_once("/p/").unwrap().1;
    format!("/p/{path}")
}

#[tokio::test]
async fn the_plugin_is_immutable_at_the_address_of_its_content_and_the_obfuscated_one() {
    let house = shop().await;
    let path = plugin_path(&house).await;
    let plain = get(&house, &path, &[]).await;
    assert_eq!(plain.status, 200);
    assert_eq!(plain.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(plain.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(plain.header("access-control-allow-origin"), "*");
    assert_eq!(plain.header("cross-origin-resource-policy"), "cross-origin");
    assert_eq!(plain.header("timing-allow-origin"), "*");
    assert_eq!(plain.header("x-content-type-options"), "nosniff");
    assert_eq!(plain.header("content-encoding"), "");

    let obfuscated = get(&house, &path.replace("/p/hw/", "/p/aHc/"), &[]).await;
    assert_eq!(obfuscated.body, plain.body);
    let overlay = document(&house).await;
    let overlay = overlay["remotePlugins"][0]["settings"]["debugUrl"].as_str().unwrap();
    let overlay = get(&house, &format!("/p/{}", overlay.split_once("/p/").unwrap().1), &[]).await;
    assert_eq!(overlay.status, 200);
    assert_ne!(overlay.body, plain.body);
}

#[tokio::test]
async fn the_plugin_keeps_to_its_budget_and_builds_no_code_from_text() {
    let house = shop().await;
    let path = plugin_path(&house).await;
    let gzip = get(&house, &path, &[("accept-encoding", "gzip")]).await;
    assert!(gzip.body.len() <= 3072, "{} bytes", gzip.body.len());
    let text = String::from_utf8(get(&house, &path, &[]).await.body).unwrap();
    assert!(!text.contains("eval") && !text.contains("new Function"));
}

#[tokio::test]
async fn each_encoding_is_the_same_content_and_a_refused_one_is_never_used() {
    let house = shop().await;
    let path = plugin_path(&house).await;
    let plain = get(&house, &path, &[]).await;
    let gzip = get(&house, &path, &[("accept-encoding", "deflate, gzip;q=0.5")]).await;
    assert_eq!(gzip.header("content-encoding"), "gzip");
    assert_eq!(gzip.header("vary"), "Accept-Encoding");
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(gzip.body.as_slice()).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);

    let brotli = get(&house, &path, &[("accept-encoding", "gzip, deflate, br, zstd")]).await;
    assert_eq!(brotli.header("content-encoding"), "br");
    assert!(brotli.body.len() < gzip.body.len());
    for refused in ["br;q=0, gzip;q=0", "identity", ""] {
        let got = get(&house, &path, &[("accept-encoding", refused)]).await;
        assert_eq!((got.header("content-encoding"), &got.body), ("", &plain.body), "{refused:?}");
    }
}

#[tokio::test]
async fn both_clients_scripts_and_their_parts_are_where_the_clients_look_and_at_a_quiet_address() {
    let house = shop().await;
    for (path, holds) in [
        ("/v1/analytics-js/snippet/wk_site/analytics.min.js", "Customer.io Data Pipelines"),
        ("/s/wk_site.js", "Customer.io Data Pipelines"),
        ("/analytics.js/v1/wk_site/analytics.min.js", "Segment.io"),
        ("/s/seg/wk_site.js", "Segment.io"),
        ("/v1/analytics-js/ajs-destination.js", "webpackChunk"),
        ("/v1/analytics-js/schemaFilter.js", "webpackChunk"),
        ("/v1/analytics-js/tsub-middleware.js", "webpackChunk"),
    ] {
        let got = get(&house, path, &[]).await;
        assert_eq!(got.status, 200, "{path}");
        let text = String::from_utf8(got.body.clone()).unwrap();
        assert!(text.contains(holds), "{path} has no {holds:?}");
        assert!(!text.contains("sourceMappingURL"), "{path}");
        assert_eq!(
            got.header("cache-control"),
            "public, max-age=3600, stale-while-revalidate=86400",
            "{path}"
        );
        let tag = got.header("etag");
        assert_eq!(get(&house, path, &[("if-none-match", tag)]).await.status, 304, "{path}");
    }
    // Segment's parts have their content in their names; the script tells these.
    let script = get(&house, "/s/seg/wk_site.js", &[]).await;
    let script = String::from_utf8(script.body).unwrap();
    let part = script
        .split('"')
        .find(|hash| hash.len() == 20 && hash.chars().all(|c| c.is_ascii_hexdigit()));
    let hash = part.expect("the script names its parts");
    let number = script.split_once(&format!(":\"{hash}\"")).unwrap().0;
    let number: String = number.chars().rev().take_while(char::is_ascii_digit).collect();
    let number: String = number.chars().rev().collect();
    let names = [
        "407",
        "ajs-destination",
        "auto-track",
        "legacyVideos",
        "queryString",
        "remoteMiddleware",
        "schemaFilter",
        "tsub-middleware",
    ];
    let mut found = 0;
    for name in names.iter().copied().chain([number.as_str()]) {
        let got =
            get(&house, &format!("/analytics-next/bundles/{name}.bundle.{hash}.js"), &[]).await;
        if got.status == 200 {
            assert_eq!(got.header("cache-control"), "public, max-age=31536000, immutable");
            found += 1;
        }
    }
    assert!(found > 0, "the part {number} with hash {hash} is missing");
}

#[tokio::test]
async fn the_hosted_services_address_of_the_plugin_answers_with_ours() {
    let house = shop().await;
    let plugin = get(&house, &plugin_path(&house).await, &[]).await;
    for path in [
        "/v1/analytics-js/actions/heap-web.js?version=1",
        "/v1/analytics-js/actions/heap-web/61efa1acb302134c434b.js",
        "/next-integrations/actions/heap-web/61efa1acb302134c434b.js",
    ] {
        let got = get(&house, path, &[]).await;
        assert_eq!(got.body, plugin.body, "{path}");
        assert_ne!(got.header("cache-control"), plugin.header("cache-control"));
    }
}

#[tokio::test]
async fn what_is_missing_is_a_404_without_a_redirect() {
    let house = shop().await;
    for path in [
        "/v1/analytics-js/snippet/wk_site/analytics.classic.js",
        "/analytics.js/v1/wk_site/analytics.classic.js",
        "/v1/analytics-js/nothing.js",
        "/analytics-next/bundles/407.bundle.00000000000000000000.js",
        "/p/hw/0000000000000000.js",
    ] {
        let got = get(&house, path, &[]).await;
        assert_eq!(got.status, 404, "{path}");
        assert_eq!(got.header("cache-control"), "no-store", "{path}");
        assert_eq!(got.header("access-control-allow-origin"), "*", "{path}");
    }
}

#[tokio::test]
async fn head_is_get_without_a_body_and_post_is_not_for_pages() {
    let house = shop().await;
    let url = format!("http://{}{}", house.server().address(), plugin_path(&house).await);
    let http = crate::support::client::plain_http();
    let head = http.head(&url).send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(head.bytes().await.unwrap().len(), 0);
    let post = http.post(&url).send().await.unwrap();
    assert!(post.status().is_client_error());
}
