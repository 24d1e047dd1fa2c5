//! How far a file has come, kept beside it.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How far a file has come.
pub(super) struct Progress {
    path: PathBuf,
    kept: Kept,
    /// So many records, from the first on, are done with.
    pub(super) records: u64,
    /// Records behind those that are done with, too.
    pub(super) beyond: BTreeSet<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// Hash of the file's beginning.
    begins: String,
    server: String,
    source: String,
    records: u64,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    beyond: BTreeSet<u64>,
}

/// Bytes of a file that tell it from another. A file may grow meanwhile.
const BEGINNING: u64 = 4096;

impl Progress {
    /// What is kept of `file` for this server and source; nothing yet if `again`.
    pub(super) fn open(file: &Path, server: &str, source: &str, again: bool) -> Result<Progress> {
        let mut name = file.as_os_str().to_owned();
        name.push(".progress");
        let path = PathBuf::from(name);
        let (server, source) = (server.to_owned(), source.to_owned());
        let beyond = BTreeSet::new();
        let fresh = Kept { begins: beginning(file)?, server, source, records: 0, beyond };
        let kept = match std::fs::read_to_string(&path) {
            Ok(_) if again => fresh,
            Ok(text) => {
                let kept: Kept = serde_json::from_str(&text)
                    .with_context(|| format!("{} is not what send writes", path.display()))?;
                let same = kept.begins == fresh.begins
                    && kept.server == fresh.server
                    && kept.source == fresh.source;
                if !same {
                    bail!(
                        "{} is of another file, server or source; --again forgets it",
                        path.display()
                    );
                }
                kept
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => fresh,
            Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
        };
        let (records, beyond) = (kept.records, kept.beyond.clone());
        Ok(Progress { path, kept, records, beyond })
    }

    /// Records that are done with.
    pub(super) fn done(&self) -> u64 {
        self.records + self.beyond.len() as u64
    }

    /// So many records are done with, and those `beyond`. Kept once this returns.
    pub(super) fn reach(&mut self, records: u64, mut beyond: BTreeSet<u64>) -> Result<()> {
        beyond.retain(|record| *record > records);
        if (self.records, &self.beyond) == (records, &beyond) {
            return Ok(());
        }
        self.records = records;
        self.beyond = beyond;
        self.kept.records = records;
        self.kept.beyond.clone_from(&self.beyond);
        let mut fresh = self.path.clone().into_os_string();
        fresh.push(".new");
        let write = || -> std::io::Result<()> {
            let mut file = std::fs::File::create(&fresh)?;
            file.write_all(serde_json::to_string(&self.kept)?.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&fresh, &self.path)
        };
        write().with_context(|| format!("cannot write {}", self.path.display()))
    }
}

fn beginning(file: &Path) -> Result<String> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        std::fs::File::open(file)?.take(BEGINNING).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().with_context(|| format!("cannot read {}", file.display()))?;
    // Only whole lines: a file that grows keeps its beginning.
    let whole = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let line = bytes.get(..whole).unwrap_or_default();
    Ok(Sha256::digest(line).iter().map(|byte| format!("{byte:02x}")).collect())
}
