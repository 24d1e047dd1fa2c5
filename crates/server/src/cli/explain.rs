//! `heapline explain`: what would each event become? Sends nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use heapline_action::destination::{Cloud, Configured, Web};
use heapline_action::pipeline::{self, Action, Planner, Verdict};
use heapline_action::plan::{Filter, Plan, Request};
use heapline_action::trigger::Explanation;
use heapline_action::value::{Object, Value};
use heapline_destinations as destinations;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{End, style};
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

/// What an action makes of an event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Explained {
    /// Number of the event in the input, from 1.
    event: usize,
    message_id: Option<String>,
    integration: String,
    action: String,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    trigger: Part,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
    requests: Vec<Sent>,
    calls: Vec<Called>,
    notices: Vec<String>,
}

#[derive(Serialize)]
struct Part {
    text: String,
    holds: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<Part>,
}

#[derive(Serialize)]
struct Sent {
    method: &'static str,
    url: String,
    json: Box<RawValue>,
}

#[derive(Serialize)]
struct Called {
    method: &'static str,
    args: Box<RawValue>,
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
        let mut event = Value::parse(&text).with_context(|| format!("event {events}"))?;
        let Value::Object(members) = &mut event else {
            bail!("event {events}: expected a JSON object");
        };
        if members.get("messageId").is_none_or(|id| *id == Value::Null) {
            members.insert("messageId", Value::from(format!("explain-{events:06}")));
        }
        for integration in &integrations {
            let mut planner = match &integration.configured {
                Configured::Cloud(cloud) => {
                    let definition = integration.destination.definition();
                    Some(Planner::new(definition, &**cloud, "explain", None))
                }
                Configured::Web(_) => None,
            };
            for action in &integration.actions {
                let explained = explain(events, &event, integration, action, planner.as_mut());
                if args.json {
                    writeln!(output, "{}", serde_json::to_string(&explained)?)?;
                } else {
                    print(&mut output, &event, &explained)?;
                }
            }
        }
    }
    Ok(if events == 0 { End::NotFound } else { End::Done })
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

fn explain(
    number: usize,
    event: &Value<'_>,
    integration: &Integration,
    action: &Action,
    planner: Option<&mut Planner<'_>>,
) -> Explained {
    let definition = integration.destination.definition();
    let consent = match &integration.configured {
        Configured::Cloud(cloud) => cloud.consent_categories(),
        Configured::Web(web) => web.consent_categories(),
    };
    let mut explained = Explained {
        event: number,
        message_id: event.get("messageId").and_then(Value::as_text).map(str::to_owned),
        integration: integration.id.to_string(),
        action: action.name.clone(),
        verdict: "sent",
        reason: None,
        trigger: part(action.trigger.explain(event)),
        payload: None,
        requests: Vec::new(),
        calls: Vec::new(),
        notices: Vec::new(),
    };
    match pipeline::consider(definition, consent, action, event) {
        Verdict::Filtered(filter) => {
            explained.verdict = "filtered";
            explained.reason = Some(filter.to_string());
        }
        Verdict::Refused(refusal) => {
            explained.verdict = "refused";
            explained.reason = Some(refusal.sentence);
        }
        Verdict::Taken(payload) => {
            explained.payload = raw(&payload);
            match (&integration.configured, planner) {
                (Configured::Cloud(cloud), Some(planner)) => {
                    planned(&mut explained, &**cloud, planner.plan(action, event));
                }
                (Configured::Cloud(_), None) => {}
                (Configured::Web(web), _) => called(&mut explained, &**web, action, &payload),
            }
        }
    }
    explained
}

fn planned(explained: &mut Explained, cloud: &dyn Cloud, plan: Result<Plan, Filter>) {
    match plan {
        Err(filter) => {
            explained.verdict = "filtered";
            explained.reason = Some(filter.to_string());
        }
        Ok(Plan::Refuse(refusal)) => {
            explained.verdict = "refused";
            explained.reason = Some(refusal.sentence);
        }
        Ok(Plan::Hold { anonymous_id }) => {
            explained.verdict = "held";
            let reason = format!("until the anonymous id {anonymous_id:?} is linked to a user id");
            explained.reason = Some(reason);
        }
        Ok(Plan::Send { steps, notices }) => {
            explained.notices = notices.into_iter().map(|n| n.sentence).collect();
            let known = steps
                .iter()
                .filter_map(|s| Some((s, cloud.endpoints().get(usize::from(s.endpoint.0))?)));
            explained.requests = known
                .map(|(step, endpoint)| Request::of_step(step, endpoint))
                .filter_map(|r| {
                    let json = RawValue::from_string(r.json.as_str().to_owned()).ok()?;
                    Some(Sent { method: r.method, url: r.url, json })
                })
                .collect();
        }
    }
}

fn called(explained: &mut Explained, web: &dyn Web, action: &Action, payload: &Object<'_>) {
    match web.calls(action.action_type, payload) {
        Ok(calls) => {
            let calls = calls.into_iter();
            explained.calls = calls
                .filter_map(|call| {
                    Some(Called { method: call.method, args: raw(&Value::Array(call.args))? })
                })
                .collect();
        }
        Err(refusal) => {
            explained.verdict = "refused";
            explained.reason = Some(refusal.sentence);
        }
    }
}

fn raw(value: &impl Serialize) -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(value).ok()
}

fn part(explanation: Explanation) -> Part {
    Part {
        text: explanation.text,
        holds: explanation.holds,
        found: explanation.found,
        parts: explanation.parts.into_iter().map(part).collect(),
    }
}

fn print(output: &mut impl Write, event: &Value<'_>, explained: &Explained) -> Result<()> {
    let style = style::for_stdout();
    let name = ["event", "name", "type"].iter().find_map(|key| event.get(key)?.as_text());
    let title = format!("event {}  {}", explained.event, name.unwrap_or("(no name)"));
    let way = format!("{} / {}", explained.integration, explained.action);
    writeln!(output, "{}  →  {}", style.bold(title), style.bold(way))?;
    let verdict = match explained.verdict {
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
        writeln!(output, "  {} {}", style.bold(sent.method), sent.url)?;
        writeln!(output, "{}", indented(&sent.json)?)?;
    }
    for call in &explained.calls {
        writeln!(output, "  heap.{}", style.bold(call.method))?;
        writeln!(output, "{}", indented(&call.args)?)?;
    }
    writeln!(output)?;
    Ok(())
}

fn print_part(output: &mut impl Write, part: &Part, depth: usize) -> Result<()> {
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
    let mut out = Vec::new();
    let mut writer = serde_json::Serializer::pretty(&mut out);
    serde::Serialize::serialize(&Value::parse(json.get())?, &mut writer)?;
    let text = String::from_utf8(out)?;
    Ok(text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n"))
}
