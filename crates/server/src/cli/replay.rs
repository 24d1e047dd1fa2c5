//! `heapline replay`: delivers events of the past once more.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::json;

use super::client::{Server, Where};
use super::events::moment;
use super::{End, nothing, style};
use crate::control::{Counted, Replay, ReplayState, Selection};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  heapline replay start heap --outcome failed --dry-run     how many dead letters there are
  heapline replay start heap --outcome failed               send them again
  heapline replay start heap --since 2d --event Paid        all of that name, judged anew
  heapline replay list
  heapline replay pause 5f0c2a1b

Events are judged by the rules of now, and go out with the idempotency keys that they had.
Deliveries still under way are skipped. Ctrl-C leaves a replay running in the server.

Exit codes: 0 done; 1 it failed; 3 there was nothing to replay, or it didn't come to its end.")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    place: Where,
}

#[derive(Subcommand)]
enum What {
    /// Start a replay, and watch it
    Start(Box<Start>),
    /// List replays
    List,
    /// Watch a replay
    Watch {
        /// Its id
        id: String,
    },
    /// Let a replay pause
    Pause {
        /// Its id
        id: String,
    },
    /// Let a paused replay go on
    Resume {
        /// Its id
        id: String,
    },
    /// End a replay
    Cancel {
        /// Its id
        id: String,
    },
}

#[derive(clap::Args)]
struct Start {
    /// Id of the integration that delivers once more
    integration: String,
    /// Only deliveries with this outcome, e.g. failed
    #[arg(long)]
    outcome: Option<String>,
    /// Only deliveries with this code, e.g. `http_400`
    #[arg(long)]
    code: Option<String>,
    /// Only events of this source
    #[arg(long, value_name = "ID")]
    source: Option<String>,
    /// Only events of this name, or type
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// Only events of this user id
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Only the event with this message id
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// From this moment on, or this long ago: 2026-03-10T22:00:00Z, 15m, 2h, 7d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this moment, or this long ago
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only count
    #[arg(long)]
    dry_run: bool,
    /// Don't watch it
    #[arg(long)]
    detach: bool,
}

pub(crate) fn run(args: &Args) -> Result<End> {
    let server = args.place.server()?;
    let steer = |id: &str, state: &str| {
        let body = json!({ "state": state });
        let replay: Replay = server.api(Method::PATCH, &format!("/replays/{id}"), Some(&body))?;
        println!("{}", line(&replay));
        Ok(End::Done)
    };
    match &args.what {
        What::Start(args) => start(&server, args),
        What::List => {
            let all: Vec<Replay> = server.api(Method::GET, "/replays", None)?;
            all.iter().for_each(|replay| println!("{}", line(replay)));
            Ok(if all.is_empty() { nothing("there was no replay yet") } else { End::Done })
        }
        What::Watch { id } => watch(&server, id),
        What::Pause { id } => steer(id, "paused"),
        What::Resume { id } => steer(id, "running"),
        What::Cancel { id } => steer(id, "canceled"),
    }
}

fn start(server: &Server, args: &Start) -> Result<End> {
    let selection = Selection {
        integration: args.integration.clone(),
        outcome: args.outcome.clone(),
        code: args.code.clone(),
        source: args.source.clone(),
        event: args.event.clone(),
        user_id: args.user.clone(),
        anonymous_id: None,
        message_id: args.message_id.clone(),
        since: args.since.as_deref().map(moment).transpose()?,
        until: args.until.as_deref().map(moment).transpose()?,
    };
    let body = serde_json::to_value(&selection)?;
    let counted: Counted = server.api(Method::POST, "/replays/count", Some(&body))?;
    println!("{} events. {}", style::for_stdout().bold(counted.events), counted.note);
    if args.dry_run || counted.events == 0 {
        return Ok(if counted.events == 0 { End::NotFound } else { End::Done });
    }
    let replay: Replay = server.api(Method::POST, "/replays", Some(&body))?;
    if args.detach {
        println!("{}", line(&replay));
        return Ok(End::Done);
    }
    watch(server, &replay.id)
}

fn watch(server: &Server, id: &str) -> Result<End> {
    let template = "{spinner} {pos}/{len} events  {wide_bar}  {per_sec}  {eta} left  {msg}";
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(template)?);
    let replay = loop {
        let replay: Replay = server.api(Method::GET, &format!("/replays/{id}"), None)?;
        bar.set_length(replay.events);
        bar.set_position(replay.done);
        bar.set_message(replay.waiting.clone().unwrap_or_default());
        if replay.state != ReplayState::Running {
            break replay;
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    bar.finish_and_clear();
    println!("{}", line(&replay));
    match replay.state {
        ReplayState::Done => Ok(End::Done),
        ReplayState::Canceled | ReplayState::Paused => Ok(End::NotFound),
        ReplayState::Running => bail!("the replay goes on"),
    }
}

fn line(replay: &Replay) -> String {
    let style = style::for_stdout();
    let state = match replay.state {
        ReplayState::Running => style.yellow("running"),
        ReplayState::Paused => style.yellow("paused"),
        ReplayState::Canceled => style.red("canceled"),
        ReplayState::Done => style.green("done"),
    };
    let outcomes = replay.outcomes.iter().map(|(word, count)| format!("{count} {word}"));
    let mut outcomes: Vec<String> = outcomes.collect();
    if replay.skipped > 0 {
        outcomes.push(format!("{} skipped", replay.skipped));
    }
    let waiting = replay.waiting.as_deref().unwrap_or_default();
    format!(
        "{}  {state}  {} of {} events to {}  {}  {waiting}",
        style.bold(&replay.id),
        replay.done,
        replay.events,
        replay.selection.integration,
        outcomes.join(", "),
    )
}
