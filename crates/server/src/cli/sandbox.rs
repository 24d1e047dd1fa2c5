//! `heapline sandbox`: a local Heap, alone.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use axum::body::Body;
use axum::http::Request;
use heapline_sandbox::{Options, Sandbox};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::ServiceExt;

use super::{End, serve::told_to_stop};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  heapline sandbox
  curl localhost:8081/_sandbox/summary
  curl -X POST localhost:8081/_sandbox/faults -d '{\"kind\":\"status\",\"next\":3,\"status\":503}'

Everything is kept in memory. Give http://127.0.0.1:8081 as baseUrl of an integration to send to it.

Exit codes: 0 stopped as told; 1 it couldn't start.")]
pub(crate) struct Args {
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// What doubtful input meets: documented, lenient or silent
    #[arg(long, default_value = "documented")]
    profile: String,
    /// Keep no rate limits
    #[arg(long)]
    no_rates: bool,
}

pub(crate) fn run(args: Args) -> Result<End> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(args.listen)
            .await
            .with_context(|| format!("cannot listen on {}", args.listen))?;
        let address = listener.local_addr()?;
        let sandbox = Sandbox::new(Options::default());
        put(&sandbox, "profile", &json!({ "profile": args.profile })).await?;
        if args.no_rates {
            put(&sandbox, "switches", &json!({ "rates": "off" })).await?;
        }
        println!("The sandbox listens on http://{address}; overview at http://{address}/_sandbox/");
        heapline_sandbox::serve(listener, sandbox, async {
            // Without signals it is ended by force, which loses nothing.
            told_to_stop().await.ok();
        })
        .await?;
        Ok(End::Done)
    })
}

/// Sets something by the sandbox's own control API.
async fn put(sandbox: &Sandbox, what: &str, value: &Value) -> Result<()> {
    let request = Request::put(format!("/_sandbox/{what}")).body(Body::from(value.to_string()))?;
    let response = sandbox.router().oneshot(request).await?;
    if response.status().is_success() {
        return Ok(());
    }
    let body = axum::body::to_bytes(response.into_body(), 1 << 16).await?;
    bail!("the sandbox refused its {what}: {}", String::from_utf8_lossy(&body))
}
