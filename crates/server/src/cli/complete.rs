//! `heapline complete`: shell completions and man pages, from the definitions of the commands.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Command;
use clap_complete::Shell;

use super::End;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  heapline complete bash > /etc/bash_completion.d/heapline
  heapline complete --man /usr/local/share/man/man1

Exit codes: 0 written; 1 it couldn't be.")]
pub(crate) struct Args {
    /// Print completions for this shell
    #[arg(required_unless_present = "man")]
    shell: Option<Shell>,
    /// Write a man page for each command into this directory
    #[arg(long, value_name = "DIR")]
    man: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, mut command: Command) -> Result<End> {
    if let Some(dir) = &args.man {
        std::fs::create_dir_all(dir)
            .and_then(|()| clap_mangen::generate_to(command.clone(), dir))
            .with_context(|| format!("cannot write man pages to {}", dir.display()))?;
    }
    if let Some(shell) = args.shell {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, "heapline", &mut script);
        std::io::Write::write_all(&mut std::io::stdout().lock(), &script)?;
    }
    Ok(End::Done)
}
