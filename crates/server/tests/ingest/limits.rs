//! Each limit: what is just inside is taken, what is just outside is refused with both numbers.

use heapline_server::ingest::{Code, Limits};

use crate::support::{Door, gzip};

fn item(size: usize) -> String {
    let frame = r#"{"type":"track","event":"A","userId":"u","p":""}"#;
    frame.replace(r#""p":"""#, &format!(r#""p":"{}""#, "x".repeat(size - frame.len())))
}

fn batch(items: &[String]) -> String {
    format!(r#"{{"batch":[{}]}}"#, items.join(","))
}

fn nested(levels: usize) -> String {
    let inside = levels - 2;
    let properties = format!("{}{}", r#"{"a":"#.repeat(inside), "[]");
    format!(
        r#"{{"type":"track","event":"A","userId":"u","properties":{properties}{}}}"#,
        "}".repeat(inside)
    )
}

async fn send(door: &Door, path: &str, body: &str) -> (u16, Vec<String>, usize) {
    let before = door.stored().len();
    let answered = door.post(path, "wk_server", body.to_owned()).await;
    let errors = answered.json().pointer("/meta/errors").cloned().unwrap_or_default();
    let errors = errors.as_array().into_iter().flatten();
    let errors = errors.map(|e| e.as_str().unwrap().to_owned()).collect();
    (answered.status, errors, door.stored().len() - before)
}

#[tokio::test]
async fn an_item_has_a_size() {
    let door = Door::new();
    assert_eq!(send(&door, "/v1/track", &item(65_536)).await, (200, vec![], 1));
    let told = vec!["body: expected at most 65536 bytes, found 65537 bytes".to_owned()];
    assert_eq!(send(&door, "/v1/track", &item(65_537)).await, (400, told, 0));
    let told = vec!["batch[1]: expected at most 65536 bytes, found 65537 bytes".to_owned()];
    let body = batch(&[item(65_536), item(65_537)]);
    assert_eq!(send(&door, "/v1/batch", &body).await, (200, told, 1));
    assert!(door.store.refusals().iter().all(|one| &*one.code == "too_large"));
    assert!(door.store.refusals().iter().all(|one| one.excerpt.len() == 4096));
}

#[tokio::test]
async fn large_items_and_batches_are_taken_with_a_warning() {
    let door = Door::new();
    let warnings = || door.ingest.counters().snapshot().warnings;
    send(&door, "/v1/track", &item(32_768)).await;
    assert_eq!(warnings(), 0);
    send(&door, "/v1/track", &item(32_769)).await;
    assert_eq!(warnings(), 1);
    let frame = batch(&[]).len() + 499;
    let mut items = vec![item(1_000); 499];
    items.push(item(500_000 - frame - 499_000));
    assert_eq!(send(&door, "/v1/batch", &batch(&items)).await, (200, vec![], 500));
    assert_eq!(warnings(), 1);
    items.push(item(60));
    send(&door, "/v1/batch", &batch(&items)).await;
    assert_eq!(warnings(), 2);
}

#[tokio::test]
async fn a_batch_has_a_size() {
    let door = Door::new();
    let mut items = vec![item(65_000); 16];
    let rest = 1_048_576 - batch(&items).len() - 1;
    items.push(item(rest));
    assert_eq!(send(&door, "/v1/batch", &batch(&items)).await, (200, vec![], 17));
    items.pop();
    items.push(item(rest + 1));
    let told = "body: expected a batch of at most 1048576 bytes, found 1048577 bytes in 17 items, \
                the largest of 65000";
    assert_eq!(send(&door, "/v1/batch", &batch(&items)).await, (400, vec![told.to_owned()], 0));
}

#[tokio::test]
async fn the_largest_batch_of_the_node_client_fits() {
    let door = Door::new();
    assert_eq!(send(&door, "/v1/batch", &batch(&vec![item(65_536); 15])).await, (200, vec![], 15));
    let oversized = batch(&vec![item(300_000); 15]);
    let (status, told, stored) = send(&door, "/v1/batch", &oversized).await;
    assert_eq!((status, stored), (400, 0));
    assert!(told[0].ends_with("in 15 items, the largest of 300000"), "{told:?}");
}

#[tokio::test]
async fn a_batch_has_a_number_of_items() {
    let door = Door::new();
    let items = vec![item(60); 2_501];
    assert_eq!(send(&door, "/v1/batch", &batch(&items[1..])).await, (200, vec![], 2_500));
    let told = vec!["batch: expected at most 2500 items, found 2501".to_owned()];
    assert_eq!(send(&door, "/v1/batch", &batch(&items)).await, (400, told, 0));
}

#[tokio::test]
async fn an_item_has_a_depth() {
    let door = Door::new();
    assert_eq!(send(&door, "/v1/track", &nested(64)).await, (200, vec![], 1));
    let told = vec!["body: expected at most 64 levels of nesting, found 65".to_owned()];
    assert_eq!(send(&door, "/v1/track", &nested(65)).await, (400, told, 0));
    let told = vec!["batch[0]: expected at most 64 levels of nesting, found 10000".to_owned()];
    assert_eq!(
        send(&door, "/v1/batch", &batch(&[nested(10_000), nested(64)])).await,
        (200, told, 1)
    );
    let brackets = "[".repeat(500_000);
    assert_eq!(send(&door, "/v1/track", &brackets).await.0, 400);
    assert_eq!(send(&door, "/v1/batch", &brackets).await.0, 400);
    let told = vec!["context: expected at most 63 levels of nesting, found 64".to_owned()];
    let shared = |levels: usize| {
        let context = format!("{}{}", r#"{"a":"#.repeat(levels - 1), "{}");
        let end = "}".repeat(levels - 1);
        format!(r#"{{"batch":[{}],"context":{context}{end}}}"#, item(60))
    };
    assert_eq!(send(&door, "/v1/batch", &shared(63)).await, (200, vec![], 1));
    assert_eq!(send(&door, "/v1/batch", &shared(64)).await, (400, told, 0));
}

#[tokio::test]
async fn a_shared_context_does_not_multiply_without_bound() {
    let door = Door::new();
    let context = format!(r#"{{"a":"{}"}}"#, "x".repeat(60_000));
    let body = |items: usize| {
        let items = vec![item(60); items].join(",");
        format!(r#"{{"batch":[{items}],"context":{context}}}"#)
    };
    assert_eq!(send(&door, "/v1/batch", &body(100)).await, (200, vec![], 100));
    let (status, told, stored) = send(&door, "/v1/batch", &body(200)).await;
    assert_eq!((status, stored), (400, 0));
    assert!(told[0].starts_with("body: expected at most 8388608 bytes with what"), "{told:?}");
    let huge = format!(r#"{{"batch":[],"context":"{}"}}"#, "x".repeat(70_000));
    assert_eq!(send(&door, "/v1/batch", &huge).await.0, 400);
}

#[tokio::test]
async fn a_shared_time_does_not_multiply_without_bound() {
    let door = Door::new();
    let items = vec![r#"{"type":"track","event":"A","userId":"u"}"#; 2_000].join(",");
    let body = |time: &str| format!(r#"{{"batch":[{items}],"sentAt":{time}}}"#);
    for time in [format!("\"{}\"", "x".repeat(60_000)), "9".repeat(60_000)] {
        let (status, told, stored) = send(&door, "/v1/batch", &body(&time)).await;
        assert_eq!((status, stored), (400, 0), "{told:?}");
    }
    for time in ["\"2026-11-24T12:00:09Z\"".to_owned(), "\"yesterday\"".to_owned()] {
        assert_eq!(send(&door, "/v1/batch", &body(&time)).await, (200, vec![], 2_000));
    }
    let huge = format!(r#"{{"batch":[],"sentAt":"{}"}}"#, "x".repeat(900_000));
    assert_eq!(send(&door, "/v1/batch", &huge).await.0, 400);
}

#[tokio::test]
async fn a_gzip_bomb_is_stopped_while_unpacking() {
    let door = Door::new();
    let mut bomb = gzip(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 100_000);
    // Whoever unpacks to the end finds it broken there.
    bomb.truncate(bomb.len() - 100);
    for path in ["/v1/track", "/v1/batch"] {
        let request = http::Request::post(path)
            .header("content-encoding", "gzip")
            .header("authorization", crate::support::basic("wk_server"));
        let answered = door.call(request.body(bomb.clone().into()).unwrap()).await.unwrap();
        assert_eq!((answered.status, &answered.json()["code"]), (400, &"too_large".into()));
    }
}

#[tokio::test]
async fn limits_are_settings() {
    let limits = Limits { item: 100, batch: 150, items: 1, nesting: 2, ..Limits::default() };
    let door = Door::with(limits, &[]);
    assert_eq!(send(&door, "/v1/track", &item(101)).await.0, 400);
    assert_eq!(send(&door, "/v1/batch", &batch(&[item(100)])).await, (200, vec![], 1));
    assert_eq!(send(&door, "/v1/batch", &batch(&[item(70), item(70)])).await.0, 400);
    assert_eq!(send(&door, "/v1/batch", &batch(&[item(50), item(50)])).await.0, 400);
    assert_eq!(send(&door, "/v1/track", &nested(3)).await.0, 400);
    let counts = door.ingest.counters().snapshot();
    assert!(counts.refused.contains(&(Code::TooLarge, 4)), "{counts:?}");
}
