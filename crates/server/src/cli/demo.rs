//! `heapline demo`: sandbox, server and a stream of real events, on an empty directory.

use std::io::{IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::response::Html;
use axum::routing::get;
use heapline_action::datetime;
use heapline_action::value::{Object, Value};
use heapline_sandbox::{Options, Sandbox};
use tokio::net::TcpListener;

use super::serve::told_to_stop;
use super::{End, style};
use crate::config::Config;
use crate::control::{Actor, Role};
use crate::server::{Server, now};
use crate::telemetry::logs;
use crate::web::snippet;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  heapline demo
  heapline demo --rate 500 --for 30s

Exit codes: 0 ended as told; 1 it couldn't start.")]
pub(crate) struct Args {
    /// Events sent in a second
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// End after this time instead of at Ctrl-C, e.g. 30s
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    time: Option<Duration>,
    /// Port of the server; another one if it is taken
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Where everything is kept; a temporary directory, removed at the end, if left out
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Real events of real clients (a made-up shop), one a line.
const EVENTS: &str = include_str!("../../demo/events.jsonl");

const WRITE_KEY: &str = "wk_demo";

/// The write key of the shop's page.
const PAGE_KEY: &str = "wk_demo_page";

/// A page of the shop, in web mode.
const SHOP: &str = include_str!("../../demo/shop.html");

const EXAMPLE: &str =
    r#"{"userId":"ada","event":"Invoice Paid","messageId":"try-0001","properties":{"seats":3}}"#;

/// Time between two sendings of the stream, and between two looks at the counts.
const BEAT: Duration = Duration::from_millis(200);

pub(crate) fn run(args: Args) -> Result<End> {
    let mut config = Config::load(None)?;
    config.telemetry.log = "error".into();
    let logging = logs::start(&config.telemetry)?;
    let (data, temporary) = match &args.data {
        Some(data) => (data.clone(), false),
        None => {
            let name = format!("heapline-demo-{}", std::process::id());
            (std::env::temp_dir().join(name), true)
        }
    };
    std::fs::create_dir_all(&data)
        .with_context(|| format!("cannot make the directory {}", data.display()))?;
    let runtime = tokio::runtime::Runtime::new()?;
    let ended = runtime.block_on(demo(&args, &config, &data));
    if temporary {
        std::fs::remove_dir_all(&data)
            .with_context(|| format!("cannot remove {}", data.display()))?;
    }
    drop(logging);
    ended?;
    Ok(End::Done)
}

async fn demo(args: &Args, config: &Config, data: &Path) -> Result<()> {
    let sandbox_listener = listen(args.port.saturating_add(1)).await?;
    let sandbox_address = sandbox_listener.local_addr()?;
    let sandbox = Sandbox::new(Options::default());
    let serving =
        heapline_sandbox::serve(sandbox_listener, sandbox.clone(), std::future::pending());
    tokio::spawn(serving);

    let listener = listen(args.port).await?;
    let server = Server::start(config, data, None, listener).await?;
    tokio::task::block_in_place(|| configure(&server, sandbox_address))?;
    let shop = open_shop(args.port.saturating_add(2), server.address(), sandbox_address).await?;
    introduce(&server, sandbox_address, shop, data);

    let begun = Instant::now();
    let mut stream = Stream::new(server.address())?;
    let mut beats = tokio::time::interval(BEAT);
    let mut stop = std::pin::pin!(told_to_stop());
    let mut shown = Shown::new();
    loop {
        tokio::select! {
            _ = beats.tick() => {}
            told = &mut stop => {
                told?;
                break;
            }
        }
        stream.send(args.rate, begun.elapsed()).await?;
        shown.show(&server, &sandbox)?;
        if args.time.is_some_and(|time| begun.elapsed() >= time) {
            break;
        }
    }
    shown.end(&server, &sandbox)?;
    server.stop().await
}

/// On `port` if it is free, else on any.
async fn listen(port: u16) -> Result<TcpListener> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free"),
    }
}

/// Gives an empty directory the demo's workspace; one that has been used keeps its own.
fn configure(server: &Server, sandbox: SocketAddr) -> Result<()> {
    let workspaces = &server.control().workspaces;
    let kept = workspaces.current();
    if kept.revision > 0 {
        if !kept.text.contains(&sandbox.to_string()) {
            eprintln!(
                "The workspace kept in this directory doesn't deliver to this demo's sandbox at http://{sandbox}."
            );
        }
        return Ok(());
    }
    let who = Actor { name: "demo".into(), role: Role::Admin };
    let put = workspaces.put(&who, &workspace_document(sandbox), kept.revision);
    put.map(|_| ())
        .map_err(|problem| anyhow::anyhow!("the demo's own workspace is wrong: {problem}"))
}

/// Serves the shop's page.
async fn open_shop(port: u16, server: SocketAddr, sandbox: SocketAddr) -> Result<SocketAddr> {
    let listener = listen(port).await?;
    let address = listener.local_addr()?;
    let server = format!("http://{server}");
    let page = SHOP
        .replace("SNIPPET", &snippet::customerio(&server, PAGE_KEY))
        .replace("SANDBOX", &format!("http://{sandbox}"))
        .replace("SERVER", &server)
        .replace("WRITE_KEY", PAGE_KEY);
    let router = axum::Router::new().route("/", get(move || async move { Html(page) }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

fn workspace_document(sandbox: SocketAddr) -> String {
    format!(
        r#"[[sources]]
id = "shop"
name = "Shop's servers"
kind = "http"
writeKeys = ["{WRITE_KEY}"]

[[sources]]
id = "site"
name = "Shop's page"
kind = "javascript"
writeKeys = ["{PAGE_KEY}"]

[[integrations]]
id = "heap"
name = "Heap (sandbox)"
destination = "heap"
sources = ["shop"]

# Most visitors of the shop sign in later: their events wait for that, and arrive under their
# user's id.
[integrations.settings]
appId = "11"
anonymous = "hold"
baseUrl = "http://{sandbox}"

[[integrations]]
id = "heap-page"
name = "Heap in the page (sandbox)"
destination = "heap-web"
sources = ["site"]
settings = {{ appId = "12", receipts = 1.0 }}
"#
    )
}

fn introduce(server: &Server, sandbox: SocketAddr, shop: SocketAddr, data: &Path) {
    let style = style::for_stdout();
    let address = server.address();
    println!("{}", style.bold("Heapline demo"));
    println!();
    println!("  console    {}", server.console_link());
    println!("             (this link lets you in once; everything can be changed there)");
    println!("  server     http://{address}");
    println!(
        "  sandbox    http://{sandbox}/_sandbox/   (a local Heap: what arrived, as it arrived)"
    );
    println!("  web mode   http://{shop}/   (a shop's page, to click through)");
    println!();
    println!("Send an event of your own, and see what became of it:");
    println!();
    println!("  curl -u {WRITE_KEY}: http://{address}/v1/track \\");
    println!("    -d '{EXAMPLE}'");
    let program = std::env::args_os().next().unwrap_or_else(|| "heapline".into());
    let (program, data) = (Path::new(&program).display(), data.display());
    println!("  {program} events --data {data} --message-id try-0001 --trace");
    println!();
    println!("{}", style.dim("A stream of real events follows; Ctrl-C ends it."));
    println!();
}

/// Sends real events again and again, each time as new ones.
struct Stream {
    client: reqwest::Client,
    url: String,
    sent: usize,
    events: Vec<Value<'static>>,
}

impl Stream {
    fn new(server: SocketAddr) -> Result<Stream> {
        let read = |line| Value::parse(line).map(Value::into_owned);
        let events = EVENTS.lines().map(read).collect::<Result<Vec<_>, _>>()?;
        let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
        Ok(Stream { client, url: format!("http://{server}/v1/batch"), sent: 0, events })
    }

    async fn send(&mut self, rate: u32, elapsed: Duration) -> Result<()> {
        let due = (elapsed.as_secs_f64() * f64::from(rate)) as usize;
        let upto = due.min(self.sent + 1000);
        if upto <= self.sent {
            return Ok(());
        }
        let batch = (self.sent..upto).filter_map(|number| self.event(number)).collect();
        let mut body = Object::new();
        body.insert("batch", Value::Array(batch));
        body.insert("sentAt", Value::from(datetime::print(now())));
        let request = self.client.post(&self.url).basic_auth(WRITE_KEY, Some(""));
        let request = request.header("content-type", "application/json");
        let response = request.body(Value::Object(body).to_json()).send().await?;
        response.error_for_status().context("the server refused the demo's own events")?;
        self.sent = upto;
        Ok(())
    }

    fn event(&self, number: usize) -> Option<Value<'static>> {
        let mut event = self.events.get(number % self.events.len())?.clone();
        let Value::Object(members) = &mut event else { return None };
        members.remove("originalTimestamp");
        members.remove("sentAt");
        members.insert("timestamp", Value::from(datetime::print(now())));
        members.insert("messageId", Value::from(format!("demo-{}-{number}", std::process::id())));
        // Each time other people come: a few who did everything would meet Heap's limits for one user.
        let times = number / self.events.len();
        for key in ["userId", "anonymousId"].into_iter().filter(|_| times > 0) {
            if let Some(Value::Text(id)) = members.get_mut(key) {
                *id = format!("{id}-{times}").into();
            }
        }
        Some(event)
    }
}

/// The live counts: one line that is written over on a terminal, a line now and then elsewhere.
struct Shown {
    terminal: bool,
    beats: u32,
}

impl Shown {
    fn new() -> Shown {
        Shown { terminal: std::io::stdout().is_terminal(), beats: 0 }
    }

    fn show(&mut self, server: &Server, sandbox: &Sandbox) -> Result<()> {
        let now = self.beats.is_multiple_of(25);
        self.beats += 1;
        let mut output = std::io::stdout().lock();
        if self.terminal {
            write!(output, "\r\x1b[2K  {}", counts(server, sandbox))?;
            output.flush()?;
        } else if now {
            writeln!(output, "  {}", counts(server, sandbox))?;
        }
        Ok(())
    }

    fn end(&self, server: &Server, sandbox: &Sandbox) -> Result<()> {
        let mut output = std::io::stdout().lock();
        if self.terminal {
            write!(output, "\r\x1b[2K")?;
        }
        writeln!(output, "  {}", counts(server, sandbox))?;
        Ok(())
    }
}

fn counts(server: &Server, sandbox: &Sandbox) -> String {
    let style = style::for_stdout();
    let door = server.door();
    let totals = server.metrics().totals();
    let in_heap = sandbox.summary();
    format!(
        "accepted {}   delivered {}   refused {}   filtered {}   requests to Heap {}   events in Heap {}",
        style.bold(door.accepted),
        style.green(totals.delivered),
        style.red(totals.refused + totals.failed + totals.expired),
        style.dim(totals.filtered),
        style.bold(totals.requests),
        style.bold(in_heap.events),
    )
}
