//! `heapline serve`: the server, until it is told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::End;
use crate::config::Config;
use crate::server::Server;
use crate::telemetry::logs;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  heapline serve --workspace workspace.toml
  heapline serve --data /var/lib/heapline --listen 0.0.0.0:8080 --workspace /etc/heapline.toml

SIGTERM and SIGINT stop it: no new intake, requests in flight settle or stay in the journal.

A listening socket that it is started with (LISTEN_FDS, as systemd's socket units give it) is used
instead of --listen: then clients that call during a restart wait instead of failing.

Exit codes: 0 stopped as told; 1 it couldn't start or broke.")]
pub(crate) struct Args {
    /// Where everything is kept
    #[arg(long, value_name = "DIR", default_value = "heapline-data", env = "HEAPLINE_DATA")]
    data: PathBuf,
    /// Address to listen on [default: 127.0.0.1:8080, or server.listen of the settings]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Workspace document; applied now and whenever it changes
    #[arg(long, value_name = "FILE")]
    workspace: Option<PathBuf>,
    /// Settings that differ from the defaults
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the default settings with their explanations, and end
    #[arg(long)]
    print_config: bool,
}

pub(crate) fn run(args: Args) -> Result<End> {
    if args.print_config {
        print!("{}", crate::config::DEFAULTS);
        return Ok(End::Done);
    }
    let config = Config::load(args.config.as_deref())?;
    if let Some(file) = &args.workspace {
        // Read again once the store is open; but what can't be read is said in the system's words.
        std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    }
    let logging = logs::start(&config.telemetry)?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let handed_over = handed_over()?;
        let outlives_us = handed_over.is_some();
        let listener = match handed_over {
            Some(listener) => listener,
            None => {
                let address = args.listen.unwrap_or(config.server.listen);
                TcpListener::bind(address).await.with_context(|| {
                    format!("cannot listen on {address}; give another with --listen")
                })?
            }
        };
        let mut server = Server::start(&config, &args.data, args.workspace, listener).await?;
        eprintln!("console: {}   (this link lets you in once)", server.console_link());
        told_to_stop().await?;
        if outlives_us {
            server.stop_listening().await;
        }
        server.stop().await
    })?;
    drop(logging);
    Ok(End::Done)
}

/// The listening socket that the process was started with (`LISTEN_FDS`, as systemd's socket units
/// give it). It outlives us, so that no client is turned away during a restart.
fn handed_over() -> Result<Option<TcpListener>> {
    let Some(listener) = listenfd::ListenFd::from_env().take_tcp_listener(0)? else {
        return Ok(None);
    };
    listener.set_nonblocking(true)?;
    Ok(Some(TcpListener::from_std(listener)?))
}

/// Waits for SIGTERM or SIGINT.
pub(super) async fn told_to_stop() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
