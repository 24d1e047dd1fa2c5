//! `heapline events`: which events there were, and the whole way of one of them.

use std::io::Write;
use std::time::Duration;

use anyhow::{Result, bail};
use heapline_action::datetime;

use super::client::{Client, Where};
use super::explain::indented;
use super::{End, nothing, style};
use crate::admin::events::{List, Summary, Trace, Way};
use crate::admin::pages::PageWay;
use crate::admin::{Ask, EventParams, Refused, RefusedParams};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  heapline events                                the latest events and what became of them
  heapline events --user ada --since 2h          one user's
  heapline events --outcome failed               dead letters
  heapline events --message-id m-1 --trace       one event's whole way, its exact requests included
  heapline events 4711                           the same, by place in the journal
  heapline events --refused                      what was turned away at the door, and why

A running server on --data is asked; while none runs, the directory itself is read.

Exit codes: 0 found; 1 it couldn't be asked; 3 there is no such event.")]
pub(crate) struct Args {
    /// Place of one event: show its whole way
    #[arg(conflicts_with_all = ["message_id", "user", "anonymous", "refused"])]
    place: Option<u64>,
    /// Exact message id
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// Exact user id
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Exact anonymous id
    #[arg(long, value_name = "ID")]
    anonymous: Option<String>,
    /// Id of a source
    #[arg(long, value_name = "ID")]
    source: Option<String>,
    /// Event name, or type for calls without one
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// Id of an integration
    #[arg(long, value_name = "ID")]
    integration: Option<String>,
    /// pending, held, delivered, filtered, refused, failed or expired
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,
    /// Fixed name of a reason, e.g. no_identity
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// From this moment on, or this long ago: 2026-03-10T22:00:00Z, 15m, 2h, 7d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this moment, or this long ago
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only places below this one: the next page
    #[arg(long, value_name = "PLACE")]
    before: Option<u64>,
    /// At most so many
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// Show the whole way of each event
    #[arg(long)]
    trace: bool,
    /// Show input that was turned away at the door instead
    #[arg(long)]
    refused: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place_to_ask: Where,
}

pub(crate) fn run(args: &Args) -> Result<End> {
    let client = args.place_to_ask.client()?;
    if args.refused {
        return refused(args, &client);
    }
    if let Some(place) = args.place {
        let trace: Trace = client.ask(&Ask::Trace(place))?;
        return traces(args, vec![trace]);
    }
    let params = EventParams {
        message_id: args.message_id.clone(),
        user_id: args.user.clone(),
        anonymous_id: args.anonymous.clone(),
        source: args.source.clone(),
        event: args.event.clone(),
        integration: args.integration.clone(),
        outcome: args.outcome.clone(),
        code: args.code.clone(),
        since: args.since.as_deref().map(moment).transpose()?,
        until: args.until.as_deref().map(moment).transpose()?,
        before: args.before,
        limit: Some(args.limit),
    };
    let list = search(&client, params, args.limit)?;
    if args.trace {
        let ask = |event: &Summary| client.ask(&Ask::Trace(event.seq));
        let found = list.events.iter().map(ask).collect::<Result<Vec<Trace>>>()?;
        return traces(args, found);
    }
    let mut output = std::io::stdout().lock();
    if args.json {
        writeln!(output, "{}", serde_json::to_string(&list)?)?;
    } else {
        for event in &list.events {
            print_summary(&mut output, event)?;
        }
        if let Some(next) = list.next {
            let style = style::for_stdout();
            writeln!(output, "{}", style.dim(format!("more: add --before {next}")))?;
        }
    }
    Ok(if list.events.is_empty() { nothing("no event matches") } else { End::Done })
}

/// Goes on until the page is full: a search that looks at much answers in parts.
fn search(client: &Client, mut params: EventParams, limit: usize) -> Result<List> {
    let mut whole = List { events: Vec::new(), next: None };
    loop {
        params.limit = Some(limit - whole.events.len());
        let list: List = client.ask(&Ask::Events(Box::new(params.clone())))?;
        whole.events.extend(list.events);
        whole.next = list.next;
        if whole.events.len() >= limit || whole.next.is_none() {
            return Ok(whole);
        }
        params.before = whole.next;
    }
}

/// A moment as it is, or as long ago as a duration says.
pub(super) fn moment(text: &str) -> Result<String> {
    if datetime::read_text(text).is_some() {
        return Ok(text.to_owned());
    }
    let Ok(ago) = humantime::parse_duration(text) else {
        bail!(
            "expected a moment such as 2026-03-10T22:00:00Z or a duration such as 2h, found {text:?}"
        );
    };
    let ago = i64::try_from(Duration::as_millis(&ago)).unwrap_or(i64::MAX);
    Ok(datetime::print(crate::server::now().saturating_sub(ago)))
}

fn refused(args: &Args, client: &Client) -> Result<End> {
    let params = RefusedParams { source: args.source.clone(), limit: Some(args.limit) };
    let list: Vec<Refused> = client.ask(&Ask::Refused(params))?;
    let mut output = std::io::stdout().lock();
    if args.json {
        writeln!(output, "{}", serde_json::to_string(&list)?)?;
    } else {
        let style = style::for_stdout();
        for refused in &list {
            let source = if refused.source.is_empty() { "(unknown key)" } else { &refused.source };
            let code = style.red(&refused.code);
            writeln!(output, "{}  {code}  {source}", style.dim(&refused.at))?;
            writeln!(output, "    {}", refused.message)?;
        }
    }
    Ok(if list.is_empty() { nothing("nothing was turned away") } else { End::Done })
}

fn traces(args: &Args, traces: Vec<Trace>) -> Result<End> {
    let mut output = std::io::stdout().lock();
    for trace in &traces {
        if args.json {
            writeln!(output, "{}", serde_json::to_string(trace)?)?;
        } else {
            print_trace(&mut output, trace)?;
        }
    }
    Ok(if traces.is_empty() { End::NotFound } else { End::Done })
}

fn print_summary(output: &mut impl Write, event: &Summary) -> Result<()> {
    let style = style::for_stdout();
    let who = event.user_id.as_deref().or(event.anonymous_id.as_deref()).unwrap_or("nobody");
    writeln!(
        output,
        "{}  {}  {}  {}  {}",
        style.dim(format!("{:>8}", event.seq)),
        style.dim(&event.received_at),
        style.bold(&event.name),
        who,
        style.dim(&event.message_id),
    )?;
    for delivery in &event.deliveries {
        let way = format!("{}/{}", delivery.integration, delivery.action);
        let outcome = style.outcome(&delivery.outcome);
        writeln!(output, "          {way}  {outcome}  {}", style.dim(&delivery.reason))?;
    }
    Ok(())
}

fn print_trace(output: &mut impl Write, trace: &Trace) -> Result<()> {
    let style = style::for_stdout();
    let event = &trace.summary;
    writeln!(output, "{}  {}", style.bold(&event.name), style.dim(&event.message_id))?;
    writeln!(
        output,
        "  received {} from {}, place {}",
        event.received_at, event.source, event.seq
    )?;
    writeln!(output, "{}", indented(&trace.event)?)?;
    for way in &trace.ways {
        print_way(output, way)?;
    }
    for way in &trace.page {
        print_page_way(output, way)?;
    }
    for warning in &trace.warnings {
        writeln!(output, "\n  {}  {warning}", style.yellow("warning"))?;
    }
    for delivery in event.deliveries.iter().filter(|d| d.action.is_empty()) {
        let outcome = style.outcome(&delivery.outcome);
        writeln!(
            output,
            "\n  {}  {outcome}  {}",
            style.bold(&delivery.integration),
            delivery.reason
        )?;
    }
    writeln!(output)?;
    Ok(())
}

/// Reported by the page, and nothing that we vouch for.
fn print_page_way(output: &mut impl Write, way: &PageWay) -> Result<()> {
    let style = style::for_stdout();
    let name = format!("{} / {}", way.integration, way.action);
    let outcome = match way.outcome.as_str() {
        "sent" => style.green("sent by the page"),
        "failed" | "refused" => style.red(format!("{} in the page", way.outcome)),
        "no_receipt" => style.yellow("no receipt"),
        other => style.dim(format!("{other} in the page")),
    };
    writeln!(output, "\n  {}  {outcome}  {}", style.bold(name), way.reason)?;
    if let (Some(at), Some(browser)) = (&way.at, &way.browser) {
        writeln!(output, "    {}", style.dim(format!("reported by the page at {at}, {browser}")))?;
    }
    Ok(())
}

fn print_way(output: &mut impl Write, way: &Way) -> Result<()> {
    let style = style::for_stdout();
    let delivery = &way.delivery;
    let name = format!("{} / {}", delivery.integration, delivery.action);
    let outcome = style.outcome(&delivery.outcome);
    writeln!(output, "\n  {}  {outcome}  {}", style.bold(name), delivery.reason)?;
    writeln!(output, "    at {}, by revision {} of the workspace", way.at, way.revision)?;
    for notice in &way.notices {
        writeln!(output, "    {}  {notice}", style.yellow("notice"))?;
    }
    for request in &way.requests {
        let done = if request.done { style.green("taken") } else { style.yellow("not taken") };
        writeln!(output, "    {} {}  {done}", style.bold(&request.method), request.url)?;
        writeln!(output, "{}", indented(&request.json)?)?;
    }
    match way.requests_match {
        Some(true) => {
            writeln!(output, "    {}", style.dim("planned again just now; its digest agrees"))?;
        }
        Some(false) => {
            let what = "planned again just now; its digest differs from the one of then";
            writeln!(output, "    {}", style.red(what))?;
        }
        None => {}
    }
    for attempt in &way.attempts {
        let status = match attempt.status {
            0 => style.red("no answer"),
            status @ 200..300 => style.green(status),
            status => style.red(status),
        };
        writeln!(
            output,
            "    {}  {} with {} items  {status} in {} ms  {}",
            style.dim(&attempt.at),
            attempt.endpoint,
            attempt.items,
            attempt.took_ms,
            style.dim(attempt.answer.trim()),
        )?;
    }
    Ok(())
}
