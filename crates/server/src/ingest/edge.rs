//! The door as a service: bodies in, events to the store, answers out.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use heapline_store::{Error, Millis, NewEvent, Rejected};
use http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, request};
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::answer::{Answer, Code, Fault};
use super::client_ip::TrustedProxies;
use super::counters::{Counters, Intake};
use super::decode::{Decoded, Request, decode};
use super::keeper::Keeper;
use super::limits::Limits;
use super::route::Route;
use super::side::{Receipts, Reported};
use super::source::SourceTable;
use super::{cors, key};

/// The door. One for the program, shared by all connections.
pub struct Ingest {
    store: Box<dyn Keeper>,
    sources: RwLock<Arc<SourceTable>>,
    limits: Limits,
    proxies: TrustedProxies,
    receipts: Receipts,
    clock: Box<dyn Fn() -> Millis + Send + Sync>,
    counters: Arc<Counters>,
    /// One place for each request in progress. A request keeps it until its events are stored, even
    /// if its client has gone: so no more appends wait than there are places.
    places: Arc<Semaphore>,
    bytes_held: Arc<AtomicUsize>,
    closed: AtomicBool,
    ids: MessageIds,
}

impl Ingest {
    /// A door without sources: nobody gets in before [`Ingest::set_sources`].
    ///
    /// [`Limits::requests`] should not exceed the number of appends that the store queues, since
    /// beyond that an append blocks its thread.
    pub fn new(
        store: impl Keeper + 'static,
        limits: Limits,
        proxies: TrustedProxies,
        receipts: Receipts,
        clock: Box<dyn Fn() -> Millis + Send + Sync>,
    ) -> Self {
        Ingest {
            store: Box::new(store),
            sources: RwLock::default(),
            limits,
            proxies,
            receipts,
            clock,
            counters: Arc::default(),
            places: Arc::new(Semaphore::new(limits.requests)),
            bytes_held: Arc::default(),
            closed: AtomicBool::new(false),
            ids: MessageIds::new(),
        }
    }

    /// From now on these sources count.
    pub fn set_sources(&self, sources: Arc<SourceTable>) {
        *self.sources.write().unwrap_or_else(PoisonError::into_inner) = sources;
    }

    /// From now on all is answered 503, so that clients keep what they have.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// What the door has seen.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Answers a request to one of the door's paths: the calls, client metrics, receipts, preflights
    /// of anything under `/v1/`, and a 404 for any other POST there. Others are given back.
    pub async fn handle<B>(
        &self,
        request: http::Request<B>,
        peer: IpAddr,
    ) -> Result<Response<Full<Bytes>>, http::Request<B>>
    where
        B: Body<Data = Bytes>,
        B::Error: std::fmt::Display,
    {
        let path = request.uri().path();
        let ours = path.starts_with("/v1/") || path.starts_with("/beacon/v1/");
        if !ours {
            return Err(request);
        }
        if request.method() == Method::OPTIONS {
            self.counters.request();
            let mut response = empty(StatusCode::NO_CONTENT);
            cors::preflight(request.headers(), response.headers_mut());
            return Ok(response);
        }
        let Some(route) = Route::of(path) else {
            if request.method() != Method::POST {
                return Err(request);
            }
            self.counters.request();
            let fault = Fault::new(
                Code::NotFound,
                "path",
                "/v1/ and identify, track, page, screen, group, alias or batch",
                format!("{:?}", path.chars().take(100).collect::<String>()),
            );
            self.turn_away(&fault);
            return Ok(respond(&Answer::refusal(&fault)));
        };
        self.counters.request();
        if request.method() != Method::POST {
            let found = request.method().as_str().chars().take(20).collect::<String>();
            let fault = Fault::new(Code::MethodNotAllowed, "method", "POST", found);
            self.counters.refuse(fault.code);
            let mut response = respond(&Answer::refusal(&fault));
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST, OPTIONS"));
            return Ok(response);
        }
        let (parts, body) = request.into_parts();
        let answered = self.take(route, &parts, body, peer).await;
        Ok(answered.unwrap_or_else(|why| self.unavailable(&parts.headers, &why)))
    }

    /// The error is why nothing can be stored now.
    async fn take<B>(
        &self,
        route: Route,
        parts: &request::Parts,
        body: B,
        peer: IpAddr,
    ) -> Result<Response<Full<Bytes>>, String>
    where
        B: Body<Data = Bytes>,
        B::Error: std::fmt::Display,
    {
        if self.closed.load(Ordering::Relaxed) {
            return Err("the server is stopping".to_owned());
        }
        let place = self.places.clone().try_acquire_owned();
        let place = place.map_err(|_| "too many requests are in progress".to_owned())?;
        let mut held = Held { bytes: 0, of: self.bytes_held.clone() };
        let read = self.read(body, &mut held);
        let body = match tokio::time::timeout(self.limits.read_timeout, read).await {
            Ok(Ok(body)) => body,
            Ok(Err(Unread::Busy)) => return Err("too many bytes are in progress".to_owned()),
            Ok(Err(Unread::Refused(fault))) => {
                self.turn_away(&fault);
                return Ok(respond(&Answer::refusal(&fault)));
            }
            Err(_elapsed) => return Err("the body took too long".to_owned()),
        };
        self.counters.body(body.len());

        let decoded = self.judge(route, parts, &body, peer);
        let intake = self.counters.decoded(&decoded);
        let Decoded { source, events, rejected, receipts, answer, .. } = decoded;
        let bytes = events.iter().map(|event| event.json.len()).sum();
        if !held.take(bytes, self.limits.bodies) {
            return Err("too many bytes are in progress".to_owned());
        }
        if !events.is_empty() {
            self.append(events, place, intake).await.map_err(|e| e.to_string())?;
        }
        if !rejected.is_empty() {
            self.store.reject(rejected);
        }
        if let (Some(source), Some(body)) = (source, receipts) {
            let agent = header(parts, USER_AGENT.as_str()).unwrap_or_default().to_owned();
            let client = self.client(parts, peer);
            (self.receipts)(Reported { source, body, client, agent });
        }
        Ok(respond(&answer))
    }

    async fn read<B>(&self, body: B, held: &mut Held) -> Result<Bytes, Unread>
    where
        B: Body<Data = Bytes>,
        B::Error: std::fmt::Display,
    {
        let limit = self.limits.body;
        let mut body = std::pin::pin!(body);
        let (mut first, mut whole) = (None, Vec::new());
        let mut size = 0_usize;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|e| Unread::broken(&e))?.into_data() else { continue };
            size = size.saturating_add(data.len());
            if size > limit {
                let expected = format!("at most {limit} bytes");
                let fault = Fault::new(Code::TooLarge, "body", expected, "more");
                return Err(Unread::Refused(fault));
            }
            if !held.take(data.len(), self.limits.bodies) {
                return Err(Unread::Busy);
            }
            // Nearly every body comes in one piece, which needs no copy.
            match first.take() {
                None if whole.is_empty() => first = Some(data),
                None => whole.extend_from_slice(&data),
                Some(first) => {
                    whole.extend_from_slice(&first);
                    whole.extend_from_slice(&data);
                }
            }
        }
        Ok(first.unwrap_or_else(|| whole.into()))
    }

    fn judge(&self, route: Route, parts: &request::Parts, body: &[u8], peer: IpAddr) -> Decoded {
        let header = |name| header(parts, name);
        let address_key = parts.uri.query().and_then(|_| key::from_address(&parts.uri));
        let request = Request {
            route,
            authorization: header(AUTHORIZATION.as_str()),
            address_key: address_key.as_deref(),
            encoding: header(CONTENT_ENCODING.as_str()),
            strict: header("x-strict-mode").is_some_and(|value| value.trim() == "1"),
            body,
            now: (self.clock)(),
            client_ip: Some(self.client(parts, peer)),
        };
        let sources = self.sources.read().unwrap_or_else(PoisonError::into_inner).clone();
        decode(&request, &sources, &self.limits, &|| self.ids.next())
    }

    fn client(&self, parts: &request::Parts, peer: IpAddr) -> IpAddr {
        let forwarded = parts.headers.get_all("x-forwarded-for").iter();
        // A line that isn't text stands for a hop that can't be read, and ends the walk.
        let forwarded = forwarded.map(|line| line.to_str().unwrap_or_default());
        self.proxies.client(peer, forwarded.collect::<Vec<_>>().into_iter())
    }

    async fn append(
        &self,
        events: Vec<NewEvent>,
        place: OwnedSemaphorePermit,
        intake: Option<Arc<Intake>>,
    ) -> Result<(), Error> {
        let (done, stored) = oneshot::channel();
        let counters = self.counters.clone();
        self.store.append(
            events,
            Box::new(move |result| {
                drop(place);
                if let Ok(appended) = &result {
                    counters.appended(appended, intake.as_deref());
                }
                // Nobody listens if the client has gone; its events are stored all the same.
                drop(done.send(result));
            }),
        );
        stored.await.unwrap_or(Err(Error::Closed)).map(|_| ())
    }

    fn turn_away(&self, fault: &Fault) {
        self.counters.refuse(fault.code);
        self.store.reject(vec![Rejected {
            at: (self.clock)(),
            source: "".into(),
            code: fault.code.name().into(),
            message: fault.to_string().into(),
            excerpt: "".into(),
        }]);
    }

    fn unavailable(&self, request: &HeaderMap, why: &str) -> Response<Full<Bytes>> {
        let fault = Fault::new(Code::Unavailable, "server", "room for events", why);
        self.counters.refuse(fault.code);
        let mut response = respond(&Answer::refusal(&fault));
        let seconds = HeaderValue::from(self.limits.retry_after.as_secs().max(1));
        response.headers_mut().insert(RETRY_AFTER, seconds);
        // Browser clients without this header take any status for success and forget the events; an
        // answer that they may not read is a network error to them, and those they repeat.
        if !request.contains_key(AUTHORIZATION) {
            cors::shut(response.headers_mut());
        }
        response
    }
}

fn header<'a>(parts: &'a request::Parts, name: &str) -> Option<&'a str> {
    parts.headers.get(name).and_then(|value| value.to_str().ok())
}

enum Unread {
    Busy,
    Refused(Fault),
}

impl Unread {
    fn broken(e: &dyn std::fmt::Display) -> Self {
        let found = format!("a connection that broke ({e})");
        Unread::Refused(Fault::new(Code::Malformed, "body", "the whole body", found))
    }
}

/// Bytes of one body, counted among those of all.
struct Held {
    bytes: usize,
    of: Arc<AtomicUsize>,
}

impl Held {
    fn take(&mut self, bytes: usize, limit: usize) -> bool {
        self.bytes += bytes;
        self.of.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= limit
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Message ids for events without one: 64 random bits of this run, and a count.
struct MessageIds {
    run: u64,
    count: AtomicU64,
}

impl MessageIds {
    fn new() -> Self {
        let run = getrandom::u64().unwrap_or_else(|_| RandomState::new().build_hasher().finish());
        MessageIds { run, count: AtomicU64::new(1) }
    }

    fn next(&self) -> String {
        format!("heapline-{:016x}-{}", self.run, self.count.fetch_add(1, Ordering::Relaxed))
    }
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

fn respond(answer: &Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(answer.body.clone())));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).expect("answers have statuses of HTTP");
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    cors::open(headers);
    response
}
