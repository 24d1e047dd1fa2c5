//! `heapline apply`: makes a document the workspace of a running server.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use reqwest::Method;

use super::client::Where;
use super::{End, style};
use crate::control::{Changed, Checked, Document};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  heapline apply workspace.toml
  heapline apply --dry-run workspace.toml        what would change
  heapline export > workspace.toml               the other way

A server that follows a file takes no other document: change that file.

Exit codes: 0 applied; 1 it couldn't be; 3 the document has faults.")]
pub(crate) struct Args {
    /// The document, TOML or JSON
    file: PathBuf,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    /// Fail unless this is the revision of now
    #[arg(long, value_name = "NUMBER")]
    revision: Option<u64>,
    #[command(flatten)]
    place: Where,
}

pub(crate) fn run(args: &Args) -> Result<End> {
    let text = std::fs::read_to_string(&args.file)
        .with_context(|| format!("cannot read {}", args.file.display()))?;
    if text.trim().is_empty() {
        bail!("{} is empty: expected a workspace document", args.file.display());
    }
    let server = args.place.server()?;
    // Read before it is judged, so that nobody's change in between is lost.
    let now: Document = server.api(Method::GET, "/workspace", None)?;
    let body = |text: &String| Some(("text/plain", text.clone()));
    let checked: Checked = server.api_text(Method::POST, "/workspace/check", body(&text))?;
    let style = style::for_stdout();
    for fault in &checked.faults {
        println!("{}  {}: {}", style.red("fault  "), style.bold(&fault.path), fault.message);
    }
    if !checked.faults.is_empty() {
        return Ok(End::NotFound);
    }
    for warning in &checked.warnings {
        println!("{}  {}: {}", style.yellow("warning"), style.bold(&warning.path), warning.message);
    }
    for line in checked.diff.lines() {
        match line.chars().next() {
            Some('+') => println!("{}", style.green(line)),
            Some('-') => println!("{}", style.red(line)),
            Some(_) | None => println!("{line}"),
        }
    }
    if args.dry_run {
        return Ok(End::Done);
    }
    let path = format!("/workspace?revision={}", args.revision.unwrap_or(now.revision));
    let changed: Changed = server.api_text(Method::PUT, &path, body(&text))?;
    match changed.changed {
        true => println!("applied as revision {}", style.bold(changed.revision)),
        false => println!("revision {} says that already", changed.revision),
    }
    Ok(End::Done)
}
