//! `heapline export`: prints the workspace of a running server.

use std::io::Write;

use anyhow::Result;
use reqwest::Method;

use super::End;
use super::client::Where;
use crate::control::Document;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  heapline export > workspace.toml
  heapline export --revision 7

Exit codes: 0 printed; 1 it couldn't be.")]
pub(crate) struct Args {
    /// An earlier revision
    #[arg(long, value_name = "NUMBER")]
    revision: Option<u64>,
    #[command(flatten)]
    place: Where,
}

pub(crate) fn run(args: &Args) -> Result<End> {
    let server = args.place.server()?;
    let path = match args.revision {
        Some(number) => format!("/workspace/history/{number}"),
        None => "/workspace".to_owned(),
    };
    let document: Document = server.api(Method::GET, &path, None)?;
    write!(std::io::stdout().lock(), "{}", document.text)?;
    Ok(End::Done)
}
