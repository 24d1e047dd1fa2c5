//! The door behind a socket, over the store on disk.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use heapline_server::ingest::{Ingest, Limits, TrustedProxies};
use heapline_store::{Embedded, Settings, Store, StoredEvent};
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use crate::support::{NOON, basic, gzip, sources};

/// Takes one connection, serves it to its end, and closes the store.
async fn serve_one(listener: tokio::net::TcpListener, dir: &Path) {
    let store = Arc::new(Embedded::open(dir, Settings::default()).unwrap());
    let ingest = Ingest::new(
        store.clone(),
        Limits::default(),
        TrustedProxies::default(),
        Box::new(|_| {}),
        Box::new(|| NOON),
    );
    ingest.set_sources(Arc::new(sources()));
    let (stream, peer) = listener.accept().await.unwrap();
    let ingest = &ingest;
    let service = service_fn(move |request| async move {
        let answered = ingest.handle(request, peer.ip()).await;
        Ok::<_, std::convert::Infallible>(answered.unwrap_or_else(|_| {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::IM_A_TEAPOT;
            response
        }))
    });
    let served = hyper::server::conn::http1::Builder::new();
    served.serve_connection(TokioIo::new(stream), service).await.unwrap();
    store.close().unwrap();
}

fn stored(dir: &Path) -> Vec<StoredEvent> {
    let store = Embedded::open(dir, Settings::default()).unwrap();
    store.reader(1).unwrap().next(usize::MAX, usize::MAX).unwrap()
}

/// Status and body of one answer.
fn answer(reader: &mut BufReader<TcpStream>) -> (u16, String) {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap().parse().unwrap();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (status, String::from_utf8(body).unwrap())
}

fn talk(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let event = |id: &str| format!(r#"{{"event":"A","userId":"u","messageId":"{id}"}}"#);
    let head =
        format!("POST /v1/track HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\n", basic("wk_server"));

    // Pipelined: a plain one, a chunked one, a packed one.
    let plain = event("plain-01");
    write!(stream, "{head}content-length: {}\r\n\r\n{plain}", plain.len()).unwrap();
    write!(stream, "{head}transfer-encoding: chunked\r\n\r\n").unwrap();
    for piece in event("chunked-01").as_bytes().chunks(7) {
        write!(stream, "{:x}\r\n", piece.len()).unwrap();
        stream.write_all(piece).unwrap();
        stream.write_all(b"\r\n").unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    let packed = gzip(event("packed-01").as_bytes());
    let length = packed.len();
    write!(stream, "{head}content-encoding: gzip\r\ncontent-length: {length}\r\n\r\n").unwrap();
    stream.write_all(&packed).unwrap();
    for _ in 0..3 {
        assert_eq!(answer(&mut reader), (200, "{}".to_owned()));
    }

    // A client that waits to be told to go on.
    write!(stream, "{head}expect: 100-continue\r\ncontent-length: {}\r\n\r\n", plain.len())
        .unwrap();
    assert_eq!(answer(&mut reader).0, 100);
    stream.write_all(plain.as_bytes()).unwrap();
    assert_eq!(answer(&mut reader), (200, "{}".to_owned()));

    write!(stream, "GET /v1/track HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert_eq!(answer(&mut reader).0, 405);
    write!(stream, "GET /console HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    assert_eq!(answer(&mut reader).0, 418);
}

#[test]
fn what_was_answered_200_is_on_disk_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = tokio::task::spawn_blocking(move || talk(address));
        serve_one(listener, dir.path()).await;
        client.await.unwrap();
    });
    let stored = stored(dir.path());
    let ids: Vec<&str> = stored.iter().map(|one| &*one.event.message_id).collect();
    assert_eq!(ids, ["plain-01", "chunked-01", "packed-01"]);
    assert!(stored.iter().all(|one| &*one.event.name == "A" && one.event.received_at == NOON));
}
