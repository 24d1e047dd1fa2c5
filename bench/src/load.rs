//! The load generator: keep-alive connections on one thread, with requests that only need numbers.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time::sleep_until;

use crate::events::{Template, get};

/// What to send, and how.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) templates: Rc<[Template]>,
    pub(crate) connections: usize,
    pub(crate) time: Duration,
    /// Requests a second, evenly; as many as are answered if left out.
    pub(crate) pace: Option<f64>,
    /// Number of the first event.
    pub(crate) first: u64,
}

/// What came of it.
pub(crate) struct Sent {
    pub(crate) requests: u64,
    pub(crate) events: u64,
    pub(crate) seconds: f64,
    /// Number of the event after the last one.
    pub(crate) next: u64,
    /// For requests with a single event: its number, and when its answer came.
    pub(crate) answers: Vec<(u64, Instant)>,
}

impl Sent {
    pub(crate) fn events_per_second(&self) -> f64 {
        self.events as f64 / self.seconds
    }
}

/// Sends until the time is over and all is answered. An answer other than 200 is an error.
pub(crate) fn send(load: &Load) -> Result<Sent> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, send_all(load))
}

async fn send_all(load: &Load) -> Result<Sent> {
    let counter = Rc::new(Cell::new(load.first));
    let turn = Rc::new(Cell::new(0_usize));
    let mut streams = Vec::new();
    for _ in 0..load.connections {
        streams.push(Connection::open(load.address).await?);
    }
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for (lane, connection) in streams.into_iter().enumerate() {
        let (load, counter, turn) = (load.clone(), counter.clone(), turn.clone());
        tasks.push(tokio::task::spawn_local(async move {
            one_connection(&load, lane, connection, begun, &counter, &turn).await
        }));
    }
    let mut sent = Sent { requests: 0, events: 0, seconds: 0.0, next: 0, answers: Vec::new() };
    for task in tasks {
        let (requests, events, answers) = task.await??;
        sent.requests += requests;
        sent.events += events;
        sent.answers.extend(answers);
    }
    sent.seconds = begun.elapsed().as_secs_f64();
    sent.next = counter.get();
    Ok(sent)
}

type OfOne = (u64, u64, Vec<(u64, Instant)>);

async fn one_connection(
    load: &Load,
    lane: usize,
    mut connection: Connection,
    begun: Instant,
    counter: &Cell<u64>,
    turn: &Cell<usize>,
) -> Result<OfOne> {
    let (mut requests, mut events, mut answers) = (0_u64, 0, Vec::new());
    let mut out = Vec::new();
    loop {
        if let Some(pace) = load.pace {
            let place = requests as f64 * load.connections as f64 + lane as f64;
            sleep_until((begun + Duration::from_secs_f64(place / pace)).into()).await;
        }
        if begun.elapsed() >= load.time {
            return Ok((requests, events, answers));
        }
        let at = turn.replace(turn.get() + 1) % load.templates.len().max(1);
        let template = load.templates.get(at).context("there is nothing to send")?;
        let first = counter.get();
        let count = template.events() as u64;
        counter.set(first + count);
        template.fill(first, &mut out);
        let status = connection.ask(&out).await?;
        if status != 200 {
            bail!("status {status}: {}", String::from_utf8_lossy(connection.body()));
        }
        requests += 1;
        events += count;
        if load.pace.is_some() && count == 1 {
            answers.push((first, Instant::now()));
        }
    }
}

/// One connection that is kept alive. Reads answers with a `Content-Length` only.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Of the last answer.
    body_at: usize,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: Vec::with_capacity(4096), body_at: 0 })
    }

    /// Sends a request, and gives the status of its answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<u16> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed the connection");
            }
            if let Some((status, body_at, length)) = head(&self.buffer)?
                && self.buffer.len() >= body_at + length
            {
                self.body_at = body_at;
                return Ok(status);
            }
        }
    }

    /// The body of the last answer.
    pub(crate) fn body(&self) -> &[u8] {
        self.buffer.get(self.body_at..).unwrap_or_default()
    }
}

/// Status, begin and length of the body, once the whole head is there.
fn head(buffer: &[u8]) -> Result<Option<(u16, usize, usize)>> {
    const END: &[u8] = b"\r\n\r\n";
    let Some(end) = buffer.windows(END.len()).position(|four| four == END) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(buffer.get(..end).unwrap_or_default())?;
    let status = text.split(' ').nth(1).context("no status")?.parse()?;
    let mut length = None;
    for line in text.lines().skip(1) {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = Some(value.trim().parse()?);
        }
    }
    Ok(Some((status, end + END.len(), length.context("no Content-Length")?)))
}

/// Asks for `path` and gives the body, which must come with status 200.
pub(crate) fn fetch(address: SocketAddr, path: &str) -> Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = Connection::open(address).await?;
        let status = connection.ask(&get(address, path)).await?;
        let body = String::from_utf8_lossy(connection.body()).into_owned();
        if status != 200 {
            bail!("{path}: status {status}: {body}");
        }
        Ok(body)
    })
}
