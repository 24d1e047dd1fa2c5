//! `heapline explain`: what would each event become? Sends nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use heapline_action::value::Value;
use heapline_destinations as destinations;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{End, style};
use crate::control::edit::print_json;
use crate::control::{ActionPreview, TriggerPart, explain};
use crate::workspace::{self, Format, Integration, Workspace};

#[derive(clap::Args)]
#[command(after_help = r#"Examples:
  heapline explain --workspace workspace.toml event.json
  echo '{"type":"track","event":"Paid","userId":"ada"}' | heapline explain
  heapline explain --workspace workspace.toml --json events.jsonl | jq .

Without --workspace: the standard Heap integration with its presets.
Events are one JSON document, or one a line. One without a message id gets one, as at the door.

Exit codes: 0 explained; 1 an event or the workspace can't be read; 3 there was no event."#)]
pub(crate) struct Args {
    /// Workspace document, TOML or JSON
    #[arg(long, value_name = "FILE")]
    workspace: Option<PathBuf>,
    /// Only this integration
    #[arg(long, value_name = "ID")]
    integration: Option<String>,
    /// Print JSON, one object for each event and action
    #[arg(long)]
    json: bool,
    /// File with events; standard input if left out or `-`
    file: Option<PathBuf>,
}

/// What an action makes of an event, as JSON.
#[derive(Serialize)]
struct Explained {
    /// Number of the event in the input, from 1.
    event: usize,
    #[serde(flatten)]
    preview: ActionPreview,
}

pub(crate) fn run(args: &Args) -> Result<End> {
    let workspace = match &args.workspace {
        Some(file) => read_workspace(file)?,
        None => standard(),
    };
    let integrations: Vec<&Integration> = workspace
        .integrations
        .iter()
        .map(|i| &**i)
        .filter(|i| args.integration.as_deref().is_none_or(|id| *i.id == *id))
        .collect();
    if integrations.is_empty() {
        bail!("the workspace has no such integration");
    }
    let mut text = String::new();
    match args.file.as_deref() {
        None => std::io::stdin().read_to_string(&mut text).context("standard input")?,
        Some(file) if file.as_os_str() == "-" => {
            std::io::stdin().read_to_string(&mut text).context("standard input")?
        }
        Some(file) => std::fs::File::open(file)
            .and_then(|mut file| file.read_to_string(&mut text))
            .with_context(|| format!("cannot read {}", file.display()))?,
    };
    let mut output = std::io::stdout().lock();
    let mut events = 0;
    for text in documents(&text) {
        events += 1;
        let mut event = Value::parse(&text).map_err(|e| {
            anyhow::anyhow!("event {events} isn't JSON: {e}; it begins {}", begin(&text))
        })?;
        let Value::Object(members) = &mut event else {
            bail!("event {events}: expected a JSON object");
        };
        if members.get("messageId").is_none_or(|id| *id == Value::Null) {
            members.insert("messageId", Value::from(format!("explain-{events:06}")));
        }
        for integration in &integrations {
            for preview in explain(&event, "explain", integration, &integration.actions, None) {
                if args.json {
                    let explained = Explained { event: events, preview };
                    writeln!(output, "{}", serde_json::to_string(&explained)?)?;
                } else {
                    print(&mut output, events, &event, &preview)?;
                }
            }
        }
    }
    Ok(if events == 0 { End::NotFound } else { End::Done })
}

/// The beginning of a text, to be recognised by.
pub(super) fn begin(text: &str) -> String {
    let first: String = text.trim().chars().take(40).collect();
    format!("{first:?}")
}

/// The whole text if it is one document, else its lines.
fn documents(text: &str) -> Vec<String> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    if Value::parse(text).is_ok() {
        return vec![text.to_owned()];
    }
    let lines = BufReader::new(text.as_bytes()).lines().map_while(Result::ok);
    lines.filter(|line| !line.trim().is_empty()).collect()
}

pub(super) fn read_workspace(file: &std::path::Path) -> Result<Workspace> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    workspace::parse(&text, Format::guess(&text), 0).map_err(|faults| {
        let list: Vec<String> = faults.iter().map(|f| format!("\n  {f}")).collect();
        anyhow::anyhow!("{} has faults:{}", file.display(), list.concat())
    })
}

/// The first destination of the catalog with its presets and no account.
fn standard() -> Workspace {
    let slug = destinations::catalog().first().map_or("", |d| d.definition().slug);
    let document = format!(
        r#"{{"sources":[{{"id":"any","writeKeys":["any"]}}],
            "integrations":[{{"id":"{slug}","destination":"{slug}","sources":["any"],
            "settings":{{"appId":"0"}}}}]}}"#
    );
    workspace::parse(&document, Format::Json, 0).expect("the standard workspace has no fault")
}

fn print(
    output: &mut impl Write,
    number: usize,
    event: &Value<'_>,
    explained: &ActionPreview,
) -> Result<()> {
    let style = style::for_stdout();
    let name = ["event", "name", "type"].iter().find_map(|key| event.get(key)?.as_text());
    let title = format!("event {number}  {}", name.unwrap_or("(no name)"));
    let way = format!("{} / {}", explained.integration, explained.action);
    writeln!(output, "{}  →  {}", style.bold(title), style.bold(way))?;
    let verdict = match explained.verdict.as_str() {
        "sent" => style.green("sent"),
        "filtered" => style.dim("filtered"),
        other => style.red(other),
    };
    let reason = explained.reason.as_deref().unwrap_or_default();
    writeln!(output, "  {verdict}  {reason}")?;
    print_part(output, &explained.trigger, 2)?;
    for notice in &explained.notices {
        writeln!(output, "  {}  {notice}", style.yellow("notice"))?;
    }
    for sent in &explained.requests {
        writeln!(output, "  {} {}", style.bold(&sent.method), sent.url)?;
        writeln!(output, "{}", indented_value(&sent.json.0))?;
    }
    for call in &explained.calls {
        writeln!(output, "  heap.{}", style.bold(&call.method))?;
        writeln!(output, "{}", indented_value(&call.args.0))?;
    }
    writeln!(output)?;
    Ok(())
}

fn print_part(output: &mut impl Write, part: &TriggerPart, depth: usize) -> Result<()> {
    let style = style::for_stdout();
    let mark = if part.holds { style.green("✓") } else { style.red("✗") };
    let found = match &part.found {
        Some(found) if part.parts.is_empty() => style.dim(format!("   found {found}")),
        None if part.parts.is_empty() => style.dim("   found nothing"),
        Some(_) | None => String::new(),
    };
    writeln!(output, "{:depth$}{mark} {}{found}", "", part.text)?;
    for part in &part.parts {
        print_part(output, part, depth + 2)?;
    }
    Ok(())
}

pub(super) fn indented(json: &RawValue) -> Result<String> {
    Ok(indented_value(&Value::parse(json.get())?))
}

fn indented_value(value: &Value<'_>) -> String {
    let text = print_json(value);
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
