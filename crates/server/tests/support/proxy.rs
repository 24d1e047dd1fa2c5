//! Stands between a client and the server: answers the first requests with a status of its own,
//! keeps all statuses, and can be pointed at another server.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use tokio::net::TcpListener;

use super::client::plain_http;

#[derive(Clone)]
pub(crate) struct Proxy {
    inner: Arc<Inner>,
    pub(crate) address: String,
}

struct Inner {
    http: reqwest::Client,
    target: Mutex<SocketAddr>,
    faults: Mutex<VecDeque<u16>>,
    /// In the order of their arrival; 502 where the server gave no answer.
    statuses: Mutex<Vec<u16>>,
}

impl Proxy {
    /// Answers the first requests with `faults`, and passes all others to `target`.
    pub(crate) async fn start(target: SocketAddr, faults: &[u16]) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let inner = Arc::new(Inner {
            http: plain_http(),
            target: Mutex::new(target),
            faults: Mutex::new(faults.iter().copied().collect()),
            statuses: Mutex::default(),
        });
        let router = Router::new().fallback(pass).with_state(inner.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Proxy { inner, address }
    }

    pub(crate) fn point_at(&self, target: SocketAddr) {
        *self.inner.target.lock().unwrap() = target;
    }

    /// Statuses that the client was given, in order.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        self.inner.statuses.lock().unwrap().clone()
    }
}

async fn pass(
    State(inner): State<Arc<Inner>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let fault = inner.faults.lock().unwrap().pop_front();
    let (status, answer) = match fault {
        Some(status) => {
            (status, Bytes::from_static(b"{\"code\":\"fault\",\"message\":\"by order\"}"))
        }
        None => forward(&inner, &method, &uri, &headers, body).await,
    };
    inner.statuses.lock().unwrap().push(status);
    let mut response =
        Response::builder().status(status).header("content-type", "application/json");
    if status == 429 {
        // Without it one client waits a minute.
        response = response.header("retry-after", "1");
    }
    response.body(Body::from(answer)).unwrap()
}

async fn forward(
    inner: &Inner,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: Bytes,
) -> (u16, Bytes) {
    let target = *inner.target.lock().unwrap();
    let mut request = inner.http.request(method.clone(), format!("http://{target}{uri}"));
    for (name, value) in headers {
        if !["host", "connection", "content-length", "transfer-encoding"].contains(&name.as_str()) {
            request = request.header(name, value);
        }
    }
    let Ok(response) = request.body(body).send().await else { return (502, Bytes::new()) };
    let status = response.status().as_u16();
    match response.bytes().await {
        Ok(bytes) => (status, bytes),
        Err(_) => (502, Bytes::new()),
    }
}
