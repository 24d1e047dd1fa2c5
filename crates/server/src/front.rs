//! The listening socket: pages first, then the door, then the admin API.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, SetOnce, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;
use tracing::{Instrument, Span, warn};

use crate::ingest::Ingest;
use crate::telemetry::spans;
use crate::web::Web;

/// Who answers. Pages are answered from the beginning; all else waits for [`Front::open`].
pub(crate) struct Front {
    web: Arc<Web>,
    rest: SetOnce<(Arc<Ingest>, Router)>,
}

/// How long a call waits for the server to have started. Clients that give up within seconds find
/// their events taken, if the listening socket outlived the last server.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long each connection may bring one more request once the server stops: what a client has sent
/// by then is on its way.
const LAST_CALL: Duration = Duration::from_millis(500);

/// Longest time that a client may take to send the head of a request.
const HEAD: Duration = Duration::from_secs(30);

impl Front {
    pub(crate) fn new(web: Arc<Web>) -> Front {
        Front { web, rest: SetOnce::new() }
    }

    /// From now on the door and the admin API answer, too.
    pub(crate) fn open(&self, ingest: Arc<Ingest>, router: Router) {
        // The first stays: a server opens once.
        self.rest.set((ingest, router)).ok();
    }

    /// Answers all who connect, until `stopping` is true; then lets requests in flight end.
    pub(crate) async fn accept_all(
        self: Arc<Self>,
        listener: TcpListener,
        mut stopping: watch::Receiver<bool>,
    ) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
                _ = stopping.wait_for(|stop| *stop) => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(self.clone().serve(stream, peer, stopping.clone()));
                }
                Err(e) => {
                    // Out of file descriptors, most likely: let some connections end.
                    warn!(error = %e, "can't accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        mut stopping: watch::Receiver<bool>,
    ) {
        // Without it small answers wait for the client's acknowledgement.
        stream.set_nodelay(true).ok();
        let called = Arc::new(Notify::new());
        let calls = called.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            calls.notify_waiters();
            let front = self.clone();
            let (method, path) = (request.method(), request.uri().path());
            let span = spans::call(method, path, request.headers());
            let answered = async move {
                let response = front.answer(request, peer.ip()).await?;
                spans::answered(&Span::current(), response.status().as_u16());
                Ok::<_, Infallible>(response)
            };
            answered.instrument(span)
        });
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD);
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
        // A client that breaks off is the client's affair.
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = stopping.wait_for(|stop| *stop) => {}
        }
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = tokio::time::timeout(LAST_CALL, called.notified()) => {}
        }
        connection.as_mut().graceful_shutdown();
        connection.await.ok();
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: IpAddr,
    ) -> Result<Response<Body>, Infallible> {
        if let Some(response) = self.web.handle(&request) {
            return Ok(response.map(Body::new));
        }
        let Ok((ingest, router)) = tokio::time::timeout(PATIENCE, self.rest.wait()).await else {
            // Without CORS headers, so that a page's client takes it for a failure and tries again.
            let mut response = Response::new(Body::from("the server is starting\n"));
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            return Ok(response);
        };
        match ingest.handle(request, peer).await {
            Ok(response) => Ok(response.map(Body::new)),
            Err(request) => router.clone().oneshot(request.map(Body::new)).await,
        }
    }
}
