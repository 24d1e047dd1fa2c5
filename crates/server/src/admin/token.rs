//! The file in the data directory by which the command line finds and may ask its server.

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::workspace::Secret;

/// Its name in the data directory. Only its owner may read it.
pub const ADMIN_FILE: &str = "admin.json";

/// Where the server is, and the token that its admin API asks for.
#[derive(Clone, Debug)]
pub struct AdminFile {
    /// Base address of the server.
    pub address: String,
    /// Bearer token of the admin API.
    pub token: Secret,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    address: String,
    token: String,
}

impl AdminFile {
    /// Reads the file of `data`; `None` if there is none.
    pub fn read(data: &Path) -> Result<Option<AdminFile>> {
        let path = data.join(ADMIN_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
        };
        let raw: Raw = serde_json::from_str(&text)
            .with_context(|| format!("{} is not what a server writes", path.display()))?;
        Ok(Some(AdminFile { address: raw.address, token: Secret::new(&raw.token) }))
    }

    /// Writes the file for a server at `address`, keeping the token of an earlier start.
    pub fn write(data: &Path, address: SocketAddr) -> Result<AdminFile> {
        let token = match AdminFile::read(data) {
            Ok(Some(earlier)) => earlier.token,
            Ok(None) | Err(_) => Secret::new(&new_token()?),
        };
        let path = data.join(ADMIN_FILE);
        let raw = Raw { address: format!("http://{address}"), token: token.reveal().to_owned() };
        let fresh = data.join(format!("{ADMIN_FILE}.new"));
        let write = || -> std::io::Result<()> {
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&fresh)?;
            file.write_all(serde_json::to_string_pretty(&raw)?.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&fresh, &path)
        };
        write().with_context(|| format!("cannot write {}", path.display()))?;
        Ok(AdminFile { address: raw.address, token })
    }
}

fn new_token() -> Result<String> {
    let mut bytes = [0_u8; 24];
    getrandom::fill(&mut bytes).context("the system gives no random numbers")?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}
