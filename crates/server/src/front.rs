//! The listening socket: pages first, then the door, then the admin API.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::{SetOnce, watch};
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
        let connections = GracefulShutdown::new();
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(hyper_util::rt::TokioTimer::new()).header_read_timeout(Duration::from_secs(30));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stopping.wait_for(|stop| *stop) => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(e) => {
                    // Out of file descriptors, most likely: let some connections end.
                    warn!(error = %e, "can't accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            // Without it small answers wait for the client's acknowledgement.
            stream.set_nodelay(true).ok();
            let front = self.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let front = front.clone();
                let span = spans::call(request.method(), request.uri().path());
                let answered = async move {
                    let response = front.answer(request, peer.ip()).await?;
                    spans::answered(&Span::current(), response.status().as_u16());
                    Ok::<_, Infallible>(response)
                };
                answered.instrument(span)
            });
            let connection = http.serve_connection(TokioIo::new(stream), service);
            let watched = connections.watch(connection);
            tokio::spawn(async move {
                // A client that breaks off is the client's affair.
                watched.await.ok();
            });
        }
        drop(listener);
        connections.shutdown().await;
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
