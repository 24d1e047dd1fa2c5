//! Bytes that are no proper HTTP, or stop in the middle: the server answers or closes, keeps
//! nothing of them, and serves others as before.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::support::heap::Heap;
use crate::support::house::House;
use crate::support::workspace::Workspace;

const HEAD: &str =
    "POST /v1/track HTTP/1.1\r\nhost: x\r\nauthorization: Basic d2tfc2VydmVyOg==\r\n";

/// Longest wait for an answer or the end; only a failure takes it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends `bytes`, closes its side if it is the one to `hang_up`, and gives all that came back.
fn talk(address: SocketAddr, bytes: &[u8], hang_up: bool) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    // The server may have closed before all of it was written.
    stream.write_all(bytes).ok();
    if hang_up {
        stream.shutdown(Shutdown::Write).ok();
    }
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(e) => assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset, "{e}"),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn statuses(answer: &str) -> Vec<u16> {
    let lines = answer.lines().filter_map(|line| line.strip_prefix("HTTP/1."));
    lines.map(|line| line.split(' ').nth(1).unwrap().parse().unwrap()).collect()
}

fn event(id: &str) -> String {
    format!(r#"{{"userId":"ada","event":"E","messageId":"{id}"}}"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_harms_nobody_else_and_leaves_nothing_behind() {
    let heap = Heap::start().await;
    let house = House::start(&Workspace::to(&heap.address)).await;
    let address = house.server().address();
    let whole = event("message-broken");
    let (half, _) = whole.split_at(whole.len() / 2);
    let length = whole.len();
    let text = |text: String| text.into_bytes();
    let huge = format!("{HEAD}content-length: {}\r\n\r\n{}", 9 << 20, "x".repeat(9 << 20));
    let broken: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("no HTTP", text("GARBAGE\r\n\r\n".into())),
        ("zeros", vec![0; 10_000]),
        ("the hello of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("the preface of HTTP/2", text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into())),
        ("an unknown version", text("POST /v1/track HTTP/9.9\r\n\r\n".into())),
        ("half a head", text(HEAD.into())),
        ("a huge header", text(format!("{HEAD}x: {}\r\n\r\n", "y".repeat(2 << 20)))),
        ("many headers", text(format!("{HEAD}{}\r\n", "x: y\r\n".repeat(20_000)))),
        ("a huge address", text(format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(1 << 20)))),
        ("a NUL in the address", text("POST /v1/\0track HTTP/1.1\r\nhost: x\r\n\r\n".into())),
        ("no UTF-8 in the address", b"POST /v1/\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n".to_vec()),
        ("a negative length", text(format!("{HEAD}content-length: -1\r\n\r\n{whole}"))),
        ("a length that is none", text(format!("{HEAD}content-length: abc\r\n\r\n{whole}"))),
        (
            "two lengths",
            text(format!("{HEAD}content-length: 1\r\ncontent-length: {length}\r\n\r\n{whole}")),
        ),
        ("half a body", text(format!("{HEAD}content-length: {length}\r\n\r\n{half}"))),
        ("a chunk without a size", text(format!("{HEAD}transfer-encoding: chunked\r\n\r\nzz\r\n"))),
        (
            "an endless chunk",
            text(format!("{HEAD}transfer-encoding: chunked\r\n\r\nffffffffffffffff1\r\n{whole}")),
        ),
        (
            "chunks without an end",
            text(format!("{HEAD}transfer-encoding: chunked\r\n\r\n{length:x}\r\n{whole}\r\n")),
        ),
        ("an unknown coding", text(format!("{HEAD}transfer-encoding: gzip\r\n\r\n{whole}"))),
        ("more than is ever read", text(huge)),
        (
            "no UTF-8 in a header",
            [HEAD.as_bytes(), b"x-forwarded-for: \xff\xfe\r\ncontent-length: 2\r\n\r\n{}"].concat(),
        ),
    ];
    tokio::task::spawn_blocking(move || {
        for (what, bytes) in &broken {
            let answer = talk(address, bytes, true);
            let statuses = statuses(&answer);
            assert!(statuses.iter().all(|status| (400..500).contains(status)), "{what}: {answer}");
        }
        // What was whole before the garbage is taken.
        let good = event("message-good");
        let before = format!("{HEAD}content-length: {}\r\n\r\n{good}garbage\r\n\r\n", good.len());
        assert_eq!(statuses(&talk(address, before.as_bytes(), false)).first(), Some(&200));
        // One that says its length in both ways is read by its chunks, or not at all.
        let chunks = event("message-chunks");
        let both = format!(
            "{HEAD}connection: close\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n\
             {:x}\r\n{chunks}\r\n0\r\n\r\n",
            chunks.len()
        );
        let taken = statuses(&talk(address, both.as_bytes(), false));
        assert!(taken == [200] || taken == [400], "{taken:?}");
    })
    .await
    .unwrap();
    house.client.track("ada", "After", "message-after").await;
    for id in ["message-good", "message-after"] {
        house.client.outcome(id, "delivered").await;
    }
    let none = house.client.ask("/events?messageId=message-broken").await;
    assert_eq!(none["events"].as_array().unwrap().len(), 0);
    assert_eq!(house.client.get("/healthz").await.status, 200);
}
