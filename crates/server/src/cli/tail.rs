//! `heapline tail`: events as they are accepted and settle.

use std::io::Write;

use anyhow::{Context, Result};

use super::client::Where;
use super::{End, style};
use crate::control::{Reported, TailItem, TailParams};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  heapline tail
  heapline tail --outcome failed
  heapline tail --integration heap-web    # pages tell everything while this runs
  heapline tail --user ada --json | jq .

Exit codes: 0 the server stopped; 1 it couldn't be asked, or has gone.")]
pub(crate) struct Args {
    /// accepted, settled or reported (by a page); all if left out
    #[arg(long)]
    kind: Option<String>,
    /// Id of a source
    #[arg(long, value_name = "ID")]
    source: Option<String>,
    /// Event name, or type
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// User id
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Only what settles at this integration, or pages report of it
    #[arg(long, value_name = "ID")]
    integration: Option<String>,
    /// Only what settles with this outcome
    #[arg(long)]
    outcome: Option<String>,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

pub(crate) fn run(args: &Args) -> Result<End> {
    let server = args.place.server()?;
    let params = TailParams {
        kind: args.kind.clone(),
        source: args.source.clone(),
        event: args.event.clone(),
        user_id: args.user.clone(),
        integration: args.integration.clone(),
        outcome: args.outcome.clone(),
    };
    let path = format!("/tail?{}", serde_urlencoded::to_string(&params)?);
    server.stream(&path, |data| {
        let mut output = std::io::stdout().lock();
        if args.json {
            writeln!(output, "{data}")?;
        } else {
            let item = serde_json::from_str(data).context("the server said what I can't read")?;
            print(&mut output, &item)?;
        }
        Ok(())
    })?;
    Ok(End::Done)
}

/// A page's word, and nothing that we vouch for.
fn print_reported(output: &mut impl Write, said: &Reported) -> Result<()> {
    let style = style::for_stdout();
    let result = match said.result.as_str() {
        "loaded" | "sent" => style.green(&said.result),
        "failed" => style.red(&said.result),
        other => style.dim(other),
    };
    let what = said.message_id.as_deref().unwrap_or("the page");
    let (at, by) = (style.dim(&said.at), format!("{}, {}", said.browser, said.plugin));
    let action = said.action.as_deref().map(|id| format!("/{id}")).unwrap_or_default();
    writeln!(output, "          reported  {at}  {}  {}", style.bold(what), style.dim(by))?;
    writeln!(
        output,
        "          {}{action}  {result}  {}",
        said.integration,
        style.dim(&said.reason)
    )?;
    Ok(())
}

fn print(output: &mut impl Write, item: &TailItem) -> Result<()> {
    let style = style::for_stdout();
    let (word, event) = match item {
        TailItem::Accepted(event) => ("accepted", event),
        TailItem::Settled(event) => ("settled ", event),
        TailItem::Reported(said) => return print_reported(output, said),
        TailItem::Missed { count } => {
            let what = format!("missed {count}: they came faster than they could be shown");
            writeln!(output, "{}", style.yellow(what))?;
            return Ok(());
        }
    };
    let who = event.user_id.as_deref().or(event.anonymous_id.as_deref()).unwrap_or("nobody");
    let (seq, at) = (style.dim(format!("{:>8}", event.seq)), style.dim(&event.received_at));
    writeln!(output, "{seq}  {word}  {at}  {}  {who}", style.bold(&event.name))?;
    for delivery in &event.deliveries {
        let way = format!("{}/{}", delivery.integration, delivery.action);
        let outcome = style.outcome(&delivery.outcome);
        writeln!(output, "          {way}  {outcome}  {}", style.dim(&delivery.reason))?;
    }
    Ok(())
}
