//! `heapline check`: reads a workspace document and tells all its faults.

use std::path::PathBuf;

use anyhow::{Context, Result};
use heapline_action::destination::Fault;
use serde_json::json;

use super::{End, style};
use crate::workspace::{self, Format, Workspace};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  heapline check workspace.toml
  heapline check --json workspace.toml | jq .faults

Exit codes: 0 no fault; 1 the file can't be read; 3 it has faults.")]
pub(crate) struct Args {
    /// The document, TOML or JSON
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<End> {
    let text = std::fs::read_to_string(&args.file)
        .with_context(|| format!("cannot read {}", args.file.display()))?;
    let checked = workspace::parse(&text, Format::guess(&text), 0);
    let (faults, warnings) = match &checked {
        Ok(workspace) => (&[][..], &workspace.warnings[..]),
        Err(faults) => (&faults[..], &[][..]),
    };
    if args.json {
        let list = |faults: &[Fault]| -> Vec<_> {
            faults.iter().map(|f| json!({ "path": f.path, "message": f.message })).collect()
        };
        println!("{}", json!({ "faults": list(faults), "warnings": list(warnings) }));
    } else {
        print(&args.file, &checked, faults, warnings);
    }
    Ok(if faults.is_empty() { End::Done } else { End::NotFound })
}

fn print(
    file: &std::path::Path,
    checked: &Result<Workspace, Vec<Fault>>,
    faults: &[Fault],
    warnings: &[Fault],
) {
    let style = style::for_stdout();
    for fault in faults {
        println!("{}  {}: {}", style.red("fault  "), style.bold(&fault.path), fault.message);
    }
    for warning in warnings {
        println!("{}  {}: {}", style.yellow("warning"), style.bold(&warning.path), warning.message);
    }
    if let Ok(workspace) = checked {
        let actions: usize = workspace.integrations.iter().map(|i| i.actions.len()).sum();
        println!(
            "{}  {}: {} sources, {} integrations, {actions} actions",
            style.green("good   "),
            file.display(),
            workspace.sources.len(),
            workspace.integrations.len()
        );
    }
}
