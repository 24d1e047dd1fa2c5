//! Answers as HTTP: durability, 503, limits of the edge, proxies, whose paths are whose.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use heapline_server::ingest::{Code, Limits, SourceTable, TrustedProxies};
use heapline_store::Error;
use http::{Method, Request};
use http_body_util::Full;
use hyper::body::{Body, Frame};

use crate::support::{Answered, Door, basic};

const TRACK: &str = r#"{"event":"A","userId":"u","writeKey":"wk_server"}"#;

fn plain() -> Request<Full<Bytes>> {
    Request::post("/v1/t").body(TRACK.into()).unwrap()
}

fn with_header(key: &str) -> Request<Full<Bytes>> {
    Request::post("/v1/t").header("authorization", basic(key)).body(TRACK.into()).unwrap()
}

fn assert_unavailable(answered: &Answered, readable: bool) {
    let header = |name| answered.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(answered.status, 503, "{}", answered.text);
    assert_eq!(answered.json()["code"], "unavailable");
    assert_eq!(header("retry-after"), Some("5"));
    assert_eq!(header("access-control-allow-origin"), readable.then_some("*"));
    assert_eq!(header("access-control-expose-headers"), readable.then_some("Retry-After"));
}

#[tokio::test]
async fn a_store_that_fails_is_503_in_every_mode_and_hidden_from_pages_without_a_header() {
    let faults = [
        Error::Full("no space".into()),
        Error::Poisoned("fsync".into()),
        Error::Closed,
        Error::Io("read-only".into()),
    ];
    for fault in faults {
        let door = Door::new();
        door.store.hand().fail = Some(fault);
        assert_unavailable(&door.call(plain()).await.unwrap(), false);
        assert_unavailable(&door.call(with_header("wk_server")).await.unwrap(), true);
        assert_unavailable(&door.call(with_header("wk_loose")).await.unwrap(), true);
        let counts = door.ingest.counters().snapshot();
        assert_eq!(counts.accepted, 0);
        assert!(counts.refused.contains(&(Code::Unavailable, 3)), "{counts:?}");
        door.store.hand().fail = None;
        assert_eq!(door.call(plain()).await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_closed_door_is_503() {
    let door = Door::new();
    door.ingest.close();
    assert_unavailable(&door.call(plain()).await.unwrap(), false);
    assert_unavailable(&door.call(with_header("wk_server")).await.unwrap(), true);
    assert!(door.stored().is_empty());
}

#[tokio::test]
async fn the_answer_waits_for_the_store() {
    let door = Door::new();
    door.store.hand().hold = true;
    let mut call = pin!(door.call(plain()));
    let mut context = Context::from_waker(Waker::noop());
    assert!(call.as_mut().poll(&mut context).is_pending());
    assert_eq!(door.store.hand().waiting.len(), 1);
    assert!(call.as_mut().poll(&mut context).is_pending());
    door.store.release();
    assert_eq!(call.await.unwrap().status, 200);
}

#[tokio::test]
async fn requests_beyond_the_bound_are_503_until_a_place_is_free() {
    let door = Door::with(Limits { requests: 1, ..Limits::default() }, &[]);
    door.store.hand().hold = true;
    let mut context = Context::from_waker(Waker::noop());
    let mut first = Box::pin(door.call(plain()));
    assert!(first.as_mut().poll(&mut context).is_pending());
    assert_unavailable(&door.call(plain()).await.unwrap(), false);

    // Its client has gone, but its events are still on their way.
    drop(first);
    assert_unavailable(&door.call(plain()).await.unwrap(), false);
    door.store.release();
    assert_eq!(door.call(plain()).await.unwrap().status, 200);
    assert_eq!(door.ingest.counters().snapshot().accepted, 2);
}

#[tokio::test]
async fn bytes_beyond_those_of_all_are_503() {
    let door = Door::new();
    assert_eq!(door.call(plain()).await.unwrap().status, 200);
    let event = door.store.events()[0].json.len();
    for (bodies, status) in [(TRACK.len() + event - 1, 503), (TRACK.len() + event, 200)] {
        let door = Door::with(Limits { bodies, ..Limits::default() }, &[]);
        assert_eq!(door.call(plain()).await.unwrap().status, status);
    }
    let bodies = TRACK.len() + event + TRACK.len() - 1;
    let door = Door::with(Limits { bodies, ..Limits::default() }, &[]);
    door.store.hand().hold = true;
    let mut first = Box::pin(door.call(plain()));
    assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_unavailable(&door.call(plain()).await.unwrap(), false);
    door.store.release();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(door.call(plain()).await.unwrap().status, 200);
}

/// Gives its pieces, then ends, breaks or never ends.
struct Pieces {
    left: Vec<&'static str>,
    end: End,
}

enum End {
    Good,
    Broken,
    Never,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        if let Some(piece) = self.left.pop() {
            return Poll::Ready(Some(Ok(Frame::data(piece.into()))));
        }
        match self.end {
            End::Good => Poll::Ready(None),
            End::Broken => Poll::Ready(Some(Err("reset"))),
            End::Never => Poll::Pending,
        }
    }
}

async fn send_pieces(door: &Door, left: Vec<&'static str>, end: End) -> u16 {
    let request = Request::post("/v1/t").header("authorization", basic("wk_server"));
    let request = request.body(Pieces { left, end }).unwrap();
    let response = door.ingest.handle(request, [127, 0, 0, 1].into()).await;
    response.map_err(|_| "not the door's").unwrap().status().as_u16()
}

#[tokio::test]
async fn a_body_may_come_in_pieces_but_must_come_whole_and_in_time() {
    let limits = Limits { read_timeout: Duration::ZERO, ..Limits::default() };
    let pieces = || vec![r#""userId":"u"}"#, r#""A","#, r#"{"event":"#];
    let door = Door::with(limits, &[]);
    assert_eq!(send_pieces(&door, pieces(), End::Good).await, 200);
    assert_eq!(send_pieces(&door, pieces(), End::Broken).await, 400);
    assert_eq!(send_pieces(&door, pieces(), End::Never).await, 503);
    assert_eq!(door.stored().len(), 1);
    assert_eq!(door.store.refusals().len(), 1);
}

#[tokio::test]
async fn reading_stops_at_the_cap() {
    let door = Door::with(Limits { body: 10, ..Limits::default() }, &[]);
    assert_eq!(send_pieces(&door, vec!["x"; 11], End::Never).await, 400);
    assert_eq!(&*door.store.refusals()[0].code, "too_large");
}

#[tokio::test]
async fn what_is_not_the_doors_is_given_back() {
    let door = Door::new();
    let others = [
        (Method::GET, "/v1/projects/wk_site/settings"),
        (Method::GET, "/v1/analytics-js/snippet/wk_site/analytics.min.js"),
        (Method::GET, "/v1/trck"),
        (Method::POST, "/api/apply"),
        (Method::POST, "/v1"),
        (Method::OPTIONS, "/api/apply"),
        (Method::GET, "/"),
    ];
    for (method, path) in others {
        let request = Request::builder().method(&method).uri(path).body(Full::default()).unwrap();
        assert!(door.call(request).await.is_none(), "{method} {path}");
    }
    assert_eq!(door.ingest.counters().snapshot().requests, 0);
}

#[tokio::test]
async fn a_repeat_is_acknowledged_and_stored_once_for_each_source() {
    let door = Door::new();
    let body = r#"{"event":"A","userId":"u","messageId":"m1"}"#;
    for (key, expected) in [("wk_server", 1), ("wk_server", 1), ("wk_loose", 2), ("wk_server", 2)] {
        let answered = door.post("/v1/track", key, body).await;
        assert_eq!((answered.status, answered.text.as_str()), (200, "{}"));
        assert_eq!(door.stored().len(), expected);
    }
    let counts = door.ingest.counters().snapshot();
    assert_eq!((counts.accepted, counts.duplicate), (2, 2));
}

#[tokio::test]
async fn made_message_ids_are_unique_between_events_and_runs() {
    let mut ids = Vec::new();
    for _ in 0..2 {
        let door = Door::new();
        let items = r#"{"type":"track","event":"A","userId":"u"},"#.repeat(3);
        let body = format!(r#"{{"batch":[{}]}}"#, items.trim_end_matches(','));
        assert_eq!(door.post("/v1/batch", "wk_server", body).await.status, 200);
        ids.extend(door.store.events().into_iter().map(|event| event.message_id));
    }
    assert!(ids.iter().all(|id| (8..=100).contains(&id.len())));
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!((count, ids.len()), (6, 6));
}

#[tokio::test]
async fn new_sources_count_at_once() {
    let door = Door::new();
    door.ingest.set_sources(Arc::new(SourceTable::default()));
    assert_eq!(door.call(plain()).await.unwrap().status, 401);
}

#[tokio::test]
async fn receipts_reach_their_taker_only_with_a_good_key() {
    let door = Door::new();
    for key in ["wk_site", "wk_nobody", "wk_off"] {
        let body = format!(r#"{{"v":1,"writeKey":"{key}","receipts":[]}}"#);
        let answered = door.call(Request::post("/v1/r").body(body.into()).unwrap()).await.unwrap();
        assert_eq!((answered.status, answered.text.as_str()), (200, "{}"));
    }
    let large = format!(r#"{{"writeKey":"wk_site","pad":"{}"}}"#, "x".repeat(70_000));
    door.call(Request::post("/v1/r").body(large.into()).unwrap()).await.unwrap();
    let body = r#"{"v":1,"writeKey":"wk_site","receipts":[]}"#.to_owned();
    assert_eq!(*door.receipts.lock().unwrap(), [("site".to_owned(), body)]);
}

#[tokio::test]
async fn metrics_are_counted() {
    let door = Door::new();
    let body = r#"{"series":[{"metric":"a"},{"metric":"b"},{"metric":"c"}]}"#;
    door.call(Request::post("/v1/m").body(body.into()).unwrap()).await.unwrap();
    assert_eq!(door.ingest.counters().snapshot().series, 3);
}

#[tokio::test]
async fn a_write_key_is_nowhere_in_what_is_told_or_kept() {
    let door = Door::new();
    let keys = ["wk_nobody_secret", "wk_off"];
    for key in keys {
        let bodies = [
            format!(r#"{{"writeKey":"{key}","event":"A","userId":"u"}}"#),
            format!(r#"{{"batch":[],"writeKey" : "{key}"}}"#),
            format!(r#"{{"batch":[{{"writeKey":"{key}","type":"x"}}],"writeKey":"wk_server"}}"#),
            format!(r#"{{"pad":"{}","writeKey":"{key}"}}"#, "x".repeat(4096 - 25)),
        ];
        for body in bodies {
            let request = Request::post("/v1/batch").body(body.into()).unwrap();
            let answered = door.call(request).await.unwrap();
            assert!(!answered.text.contains(key), "{}", answered.text);
        }
        let answered = door.post("/v1/t", key, TRACK).await;
        assert!(!answered.text.contains(key), "{}", answered.text);
    }
    let told = format!("{:?} {:?}", door.store.refusals(), crate::support::sources());
    assert!(keys.iter().all(|key| !told.contains(key)), "{told}");
    assert!(door.store.refusals().iter().all(|one| one.excerpt.len() <= 4096));
}

#[test]
fn proxies_are_believed_only_if_they_are_ours() {
    // ours; peer; X-Forwarded-For; the client
    let cases: [(&[&str], &str, &[&str], &str); 12] = [
        (&[], "198.51.100.7", &["203.0.113.9"], "198.51.100.7"),
        (&["10.0.0.0/8"], "10.1.2.3", &["203.0.113.9"], "203.0.113.9"),
        (&["10.0.0.0/8"], "11.1.2.3", &["203.0.113.9"], "11.1.2.3"),
        (&["10.0.0.0/8"], "10.1.2.3", &["1.1.1.1, 203.0.113.9, 10.9.9.9"], "203.0.113.9"),
        (&["10.0.0.0/8"], "10.1.2.3", &["1.1.1.1", "203.0.113.9", "10.9.9.9"], "203.0.113.9"),
        (&["10.0.0.0/8"], "10.1.2.3", &["203.0.113.9, nonsense"], "10.1.2.3"),
        (&["10.0.0.0/8"], "10.1.2.3", &[], "10.1.2.3"),
        (&["10.0.0.0/8"], "::ffff:10.1.2.3", &["203.0.113.9:4711"], "203.0.113.9"),
        (&["::1"], "::1", &["[2001:db8::5]"], "2001:db8::5"),
        (&["2001:db8::/32"], "2001:db8:ffff::1", &["[2001:db9::5]:80"], "2001:db9::5"),
        (&["0.0.0.0/0"], "198.51.100.7", &["203.0.113.9, 2001:db8::1, 1.1.1.1"], "2001:db8::1"),
        (&["::/0"], "::1", &["203.0.113.9, 10.0.0.1"], "203.0.113.9"),
    ];
    for (ours, peer, lines, client) in cases {
        let proxies = TrustedProxies(ours.iter().map(|text| text.parse().unwrap()).collect());
        let found = proxies.client(peer.parse().unwrap(), lines.iter().copied());
        assert_eq!(found.to_string(), client, "{ours:?} {peer} {lines:?}");
    }
    use heapline_server::ingest::Network;
    for bad in ["", "x", "10.0.0.0/33", "10.0.0.0/", "::/129", "10.0.0/8", "10.0.0.0/-1"] {
        assert!(bad.parse::<Network>().is_err(), "{bad}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_tells_the_address_of_a_page() {
    let door = Door::with(Limits::default(), &["198.51.100.0/24"]);
    let request = Request::post("/v1/t").header("x-forwarded-for", "203.0.113.9");
    let body = TRACK.replace("wk_server", "wk_site");
    door.call(request.body(body.into()).unwrap()).await.unwrap();
    assert_eq!(door.stored()[0]["context"]["ip"], "203.0.113.9");
}

#[tokio::test]
async fn hostile_headers_do_no_harm() {
    let door = Door::new();
    let values: [&[u8]; 6] =
        [b"\xff\xfe", b"", b"Basic \xff", b"Basic //////==", b"Bearer ", b"Basic Basic Basic"];
    for value in values {
        for name in [
            "authorization",
            "content-encoding",
            "x-strict-mode",
            "x-forwarded-for",
            "content-type",
        ] {
            let request = Request::post("/v1/t?writeKey=%ff%zz&&=&writeKey").header(name, value);
            let answered = door.call(request.body(TRACK.into()).unwrap()).await.unwrap();
            let unknown = [b"Basic //////==".as_slice(), b"Basic Basic Basic"].contains(&value);
            match name {
                "content-encoding" if !value.is_empty() && value != b"\xff\xfe" => {
                    assert!(matches!(answered.status, 200 | 400), "{}", answered.text);
                }
                "authorization" if unknown => assert!(matches!(answered.status, 200 | 401)),
                _ => assert_eq!(answered.status, 200, "{name} {value:?} {}", answered.text),
            }
        }
    }
}
