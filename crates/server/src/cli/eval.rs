//! `heapline eval`: JSON lines in, JSON lines out; one line for each line, in order.
//!
//! This is a contract that other programs speak to. What a line asks is told by its members:
//! `trigger`, `mapping` or `destination`, each with `event`.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Write};

use anyhow::{Context, Result};
use heapline_action::destination::{Destination, Fault};
use heapline_action::mapping::Mapping;
use heapline_action::trigger::Trigger;
use heapline_action::value::{JsonError, Object, Value, mend_surrogates};
use heapline_destinations::{self as destinations, Evaluation, Problem};

use super::End;

#[derive(clap::Args)]
#[command(after_help = r#"One line in, one line out:
  {"trigger": "...", "event": {...}}             -> {"match": true}
  {"mapping": {...}, "event": {...}}             -> {"payload": {...}}
  {"destination": "heap", "settings": {...}, "actions": [{"action", "trigger", "mapping"}], "event": {...}}
        -> {"requests": [{"method", "url", "json"}]}  (unmerged, in order; [] if nothing fires)
        or {"refused": "why"}
  the same with "destination": "heap-web"        -> {"calls": [{"method", "args"}]}
  {"destination": "heap-web", "settings": {...}, "init": true} -> {"init": {"script", "config", "stubs"}}
  anything wrong                                 -> {"error": {"message", "line"?, "column"?, "path"?}}

"actions" left out: the destination's presets. An event may be nested 200,000 levels deep.

Example:
  echo '{"trigger":"type = \"track\"","event":{"type":"track"}}' | heapline eval

Exit codes: 0 the input was read to its end, whatever the answers; 1 it couldn't be read."#)]
pub(crate) struct Args {
    /// Id of the source that events are said to come from
    #[arg(long, default_value = "eval", value_name = "ID")]
    source: String,
}

/// Deepest nesting of a line.
const MAX_DEPTH: usize = 200_010;

/// Room for that nesting: parsing and dropping use below 2 KiB a level.
const STACK: usize = 1 << 30;

pub(crate) fn run(args: &Args) -> Result<End> {
    let source = args.source.clone();
    let thread = std::thread::Builder::new()
        .name("eval".into())
        .stack_size(STACK)
        .spawn(move || answer_all(&source))
        .context("cannot start a thread with a large stack")?;
    thread.join().map_err(|_| anyhow::anyhow!("the evaluation ended in a panic"))??;
    Ok(End::Done)
}

fn answer_all(source: &str) -> Result<()> {
    let mut input = BufReader::with_capacity(1 << 16, std::io::stdin().lock());
    let mut output = std::io::BufWriter::new(std::io::stdout().lock());
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        output.write_all(one_line(&answer(&line, source).to_json()).as_bytes())?;
        output.write_all(b"\n")?;
        // Whoever waits for an answer before the next question gets it.
        if input.buffer().is_empty() {
            output.flush()?;
        }
    }
    output.flush()?;
    Ok(())
}

/// Escapes what some readers take for the end of a line: in JSON it stands only inside texts.
fn one_line(json: &str) -> Cow<'_, str> {
    let ends = ['\u{85}', '\u{2028}', '\u{2029}'];
    if !json.contains(ends) {
        return json.into();
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if ends.contains(&c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out.into()
}

fn answer(line: &[u8], source: &str) -> Value<'static> {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_start_matches('\u{feff}').trim_ascii();
    let mended = mend_surrogates(text);
    let text = mended.as_deref().unwrap_or(text);
    let answer = match Value::parse_deep(text, MAX_DEPTH) {
        Ok(Value::Object(question)) => ask(&question, source),
        Ok(_) => Err(Wrong::new("expected an object with trigger, mapping or destination")),
        Err(JsonError { message, .. }) => Err(Wrong::new(format!("not JSON: {message}"))),
    };
    answer.unwrap_or_else(|wrong| object([("error", Value::Object(wrong.0))]))
}

/// What is wrong, as the answer's `error`.
struct Wrong(Object<'static>);

impl Wrong {
    fn new(message: impl Into<String>) -> Wrong {
        Wrong(Object::from_iter([("message".into(), Value::from(message.into()))]))
    }

    fn at(mut self, line: usize, column: usize) -> Wrong {
        self.0.insert("line", number(line));
        self.0.insert("column", number(column));
        self
    }

    fn path(mut self, path: impl Into<String>) -> Wrong {
        self.0.insert("path", Value::from(path.into()));
        self
    }

    fn of_problems(problems: Vec<Problem>) -> Wrong {
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let wrong = Wrong::new(all.join("; "));
        match problems.into_iter().next() {
            None => wrong,
            Some(Problem { path, place, .. }) => match place {
                Some((line, column)) => wrong.path(path).at(line, column),
                None => wrong.path(path),
            },
        }
    }

    fn of_faults(faults: Vec<Fault>) -> Wrong {
        let all: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let wrong = Wrong::new(all.join("; "));
        match faults.into_iter().next() {
            None => wrong,
            Some(fault) => wrong.path(fault.path),
        }
    }
}

fn ask(question: &Object<'_>, source: &str) -> Result<Value<'static>, Wrong> {
    if let Some(slug) = question.get("destination") {
        return ask_destination(slug, question, source);
    }
    let null = Value::Null;
    let event = question.get("event").unwrap_or(&null);
    if let Some(trigger) = question.get("trigger") {
        let text = trigger.as_text().ok_or_else(|| Wrong::new("expected text").path("trigger"))?;
        let trigger =
            Trigger::parse(text).map_err(|e| Wrong::new(e.message.clone()).at(e.line, e.column))?;
        return Ok(object([("match", Value::Bool(trigger.fires_on(event)))]));
    }
    if let Some(mapping) = question.get("mapping") {
        let mapping = Mapping::parse(mapping).map_err(Wrong::of_faults)?;
        let payload = mapping.resolve_value(event).map_err(|why| Wrong::new(why.to_string()))?;
        let payload = payload.map_or(Value::Null, Value::into_owned);
        return Ok(object([("payload", payload)]));
    }
    Err(Wrong::new("expected one of the members trigger, mapping, destination"))
}

fn ask_destination(
    slug: &Value<'_>,
    question: &Object<'_>,
    source: &str,
) -> Result<Value<'static>, Wrong> {
    let destination = slug.as_text().and_then(destinations::find).ok_or_else(|| {
        let known: Vec<&str> =
            destinations::catalog().iter().map(|d| d.definition().slug).collect();
        Wrong::new(format!("expected one of {}", known.join(", "))).path("destination")
    })?;
    let null = Value::Null;
    let settings = question.get("settings").unwrap_or(&null);
    if question.get("init") == Some(&Value::Bool(true)) {
        return init(destination, settings);
    }
    let event = question.get("event").unwrap_or(&null);
    let actions = question.get("actions");
    let evaluation = destinations::evaluate(destination, settings, actions, event, source)
        .map_err(Wrong::of_problems)?;
    Ok(match evaluation {
        Evaluation::Requests(requests) => {
            let list = requests.into_iter().map(|request| {
                object([
                    ("method", Value::from(request.method)),
                    ("url", Value::from(request.url.clone())),
                    ("json", request.json.value().into_owned()),
                ])
            });
            object([("requests", Value::Array(list.collect()))])
        }
        Evaluation::Calls(calls) => {
            let list = calls.into_iter().map(|call| {
                object([("method", Value::from(call.method)), ("args", Value::Array(call.args))])
            });
            object([("calls", Value::Array(list.collect()))])
        }
        Evaluation::Refused(why) => object([("refused", Value::from(why))]),
        Evaluation::Held { anonymous_id } => {
            object([("requests", Value::Array(Vec::new())), ("held", Value::from(anonymous_id))])
        }
    })
}

fn init(destination: &dyn Destination, settings: &Value<'_>) -> Result<Value<'static>, Wrong> {
    let start = destinations::start(destination, settings).map_err(Wrong::of_problems)?;
    let stubs = start.stubs.iter().map(|name| Value::from(*name)).collect();
    Ok(object([(
        "init",
        object([
            ("script", Value::from(start.script)),
            ("config", Value::Object(start.config)),
            ("stubs", Value::Array(stubs)),
        ]),
    )]))
}

fn object<const N: usize>(members: [(&'static str, Value<'static>); N]) -> Value<'static> {
    Value::Object(members.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

fn number(n: usize) -> Value<'static> {
    Value::from(i64::try_from(n).unwrap_or(i64::MAX))
}
