//! `heapline token`: tokens of the admin API.

use anyhow::Result;
use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use super::client::Where;
use super::{End, style};
use crate::control::{FreshToken, TokenInfo};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  heapline token create dashboard --role viewer
  heapline token list
  heapline token revoke 5f0c2a1b

A viewer sees everything but secrets; an editor changes the workspace and replays; an admin makes
tokens.

Exit codes: 0 done; 1 it failed.")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    place: Where,
}

#[derive(Subcommand)]
enum What {
    /// Make a token; it is shown this once
    Create {
        /// For people, and in the log of changes
        name: String,
        /// How far it goes
        #[arg(long, value_parser = ["viewer", "editor", "admin"])]
        role: String,
    },
    /// List tokens, without their secrets
    List,
    /// Revoke a token, at once and for good
    Revoke {
        /// Its id, as `list` shows it
        id: String,
    },
}

pub(crate) fn run(args: &Args) -> Result<End> {
    let server = args.place.server()?;
    let style = style::for_stdout();
    match &args.what {
        What::Create { name, role } => {
            let body = json!({ "name": name, "role": role });
            let fresh: FreshToken = server.api(Method::POST, "/tokens", Some(&body))?;
            println!("{}", fresh.token);
            eprintln!("made the token {} of role {role}; it is shown this once", fresh.info.id);
        }
        What::List => {
            let all: Vec<TokenInfo> = server.api(Method::GET, "/tokens", None)?;
            for token in all {
                let state = match (&token.revoked_at, &token.last_used_at) {
                    (Some(at), _) => style.red(format!("revoked {at}")),
                    (None, Some(at)) => format!("used {at}"),
                    (None, None) => "never used".to_owned(),
                };
                let (id, name, role) = (style.bold(&token.id), &token.name, token.role.word());
                println!("{id}  {role:<6}  {name}  {}  {state}", style.dim(&token.created_at));
            }
        }
        What::Revoke { id } => {
            let gone: TokenInfo = server.api(Method::DELETE, &format!("/tokens/{id}"), None)?;
            println!("revoked {} ({})", gone.id, gone.name);
        }
    }
    Ok(End::Done)
}
