//! The files for pages: those of this program, and page plugins of earlier ones.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use heapline_store::Millis;
use rust_embed::Embed;
use sha2::{Digest, Sha256};
use tracing::warn;

/// What `cargo xtask setup` made; empty where it never ran. Debug builds read it at the start.
#[derive(Embed)]
#[folder = "web-assets/"]
#[exclude = ".gitignore"]
#[allow_missing = true]
struct Built;

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A year: as long as browsers keep what is called immutable.
const KEPT: Duration = Duration::from_secs(366 * 24 * 3600);

/// The clients by who wrote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Family {
    CustomerIo,
    Segment,
}

impl Family {
    const ALL: [Family; 2] = [Family::CustomerIo, Family::Segment];

    fn folder(self) -> &'static str {
        match self {
            Family::CustomerIo => "cio",
            Family::Segment => "seg",
        }
    }

    /// True if its chunks are named by their content.
    fn hashes_chunks(self) -> bool {
        match self {
            Family::CustomerIo => false,
            Family::Segment => true,
        }
    }
}

/// Something to hand out, in each encoding.
#[derive(Clone, Debug)]
pub(super) struct Content {
    /// The first 64 bits of its SHA-256, in hexadecimal digits.
    pub(super) hash: String,
    /// Its media type.
    pub(super) kind: &'static str,
    pub(super) plain: Bytes,
    /// None where it isn't smaller.
    pub(super) gzip: Option<Bytes>,
    pub(super) brotli: Option<Bytes>,
}

/// A file and whether its address tells its content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Served<'a> {
    pub(super) content: &'a Content,
    pub(super) hashed: bool,
}

/// All files for pages.
#[derive(Debug)]
pub(super) struct Assets {
    /// The plugin's and the overlay's hash; none if the program was built without.
    current: Option<(String, Option<String>)>,
    hashed: HashMap<String, Content>,
    snippets: HashMap<Family, Content>,
    chunks: HashMap<(Family, String), Content>,
}

impl Assets {
    /// Takes what is built in, keeps its plugin in `dir` and takes those that were kept there less
    /// than a year ago. A directory that can't be used is a warning: the plugin of now goes out.
    pub(super) fn load(dir: &Path, now: Millis) -> Result<Assets> {
        let mut hashed = HashMap::new();
        let mut add = |content: Content| {
            let hash = content.hash.clone();
            hashed.insert(hash.clone(), content);
            hash
        };
        let current = built("plugin.js")?.map(|plugin| {
            if let Err(e) = keep(dir, &plugin) {
                warn!("the page plugin isn't kept for pages that still ask for it later: {e:#}");
            }
            add(plugin)
        });
        let overlay = built("debug.js")?.map(&mut add);
        for old in kept(dir, now) {
            hashed.entry(old.hash.clone()).or_insert(old);
        }
        let (mut snippets, mut chunks) = (HashMap::new(), HashMap::new());
        for family in Family::ALL {
            let folder = family.folder();
            if let Some(snippet) = built(&format!("{folder}/analytics.min.js"))? {
                snippets.insert(family, snippet);
            }
            let prefix = format!("{folder}/chunks/");
            for path in Built::iter().filter(|path| path.ends_with(".js")) {
                if let Some(name) = path.strip_prefix(&prefix)
                    && let Some(chunk) = built(&path)?
                {
                    chunks.insert((family, name.to_owned()), chunk);
                }
            }
        }
        Ok(Assets { current: current.map(|plugin| (plugin, overlay)), hashed, snippets, chunks })
    }

    /// The page plugin of this program.
    pub(super) fn plugin(&self) -> Option<Served<'_>> {
        let (plugin, _) = self.current.as_ref()?;
        Some(Served { content: self.hashed.get(plugin)?, hashed: false })
    }

    /// The hash of the overlay's script.
    pub(super) fn overlay(&self) -> Option<&str> {
        self.current.as_ref()?.1.as_deref()
    }

    /// A plugin or overlay by its hash.
    pub(super) fn by_hash(&self, hash: &str) -> Option<Served<'_>> {
        Some(Served { content: self.hashed.get(hash)?, hashed: true })
    }

    /// A client's script.
    pub(super) fn snippet(&self, family: Family) -> Option<Served<'_>> {
        Some(Served { content: self.snippets.get(&family)?, hashed: false })
    }

    /// A part of a client's script.
    pub(super) fn chunk(&self, family: Family, name: &str) -> Option<Served<'_>> {
        let content = self.chunks.get(&(family, name.to_owned()))?;
        Some(Served { content, hashed: family.hashes_chunks() })
    }
}

impl Content {
    /// Compresses `plain` by gzip, quickly.
    pub(super) fn new(plain: Bytes, kind: &'static str) -> Content {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let gzip = encoder.write_all(&plain).and_then(|()| encoder.finish()).ok();
        let gzip = gzip.filter(|gzip| gzip.len() < plain.len()).map(Bytes::from);
        Content { hash: hash(&plain), kind, plain, gzip, brotli: None }
    }
}

fn built(name: &str) -> Result<Option<Content>> {
    let read = |name: &str| Built::get(name).map(|file| Bytes::from(file.data.into_owned()));
    let Some(plain) = read(name) else { return Ok(None) };
    let gzip = read(&format!("{name}.gz"));
    let brotli = read(&format!("{name}.br"));
    let gzip = gzip.with_context(|| format!("web-assets/{name} has no compressed form"))?;
    Ok(Some(Content { hash: hash(&plain), kind: SCRIPT, plain, gzip: Some(gzip), brotli }))
}

fn hash(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn keep(dir: &Path, plugin: &Content) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let file = dir.join(format!("{}.js", plugin.hash));
    // Written anew at each start, so that the file's time tells when it was last in use.
    fs::write(&file, &plugin.plain).with_context(|| format!("cannot write {}", file.display()))
}

/// The kept plugins; those that nobody can have in a cache any more are removed.
fn kept(dir: &Path, now: Millis) -> Vec<Content> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(now.try_into().unwrap_or(0));
    let mut kept = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()?.strip_suffix(".js")) else {
            continue;
        };
        let age = entry.metadata().and_then(|m| m.modified()).map(|at| now.duration_since(at));
        if matches!(age, Ok(Ok(age)) if age > KEPT) {
            if let Err(e) = fs::remove_file(&path) {
                warn!("an old page plugin can't be removed: {}: {e}", path.display());
            }
            continue;
        }
        match fs::read(&path).map(|bytes| Content::new(bytes.into(), SCRIPT)) {
            // A file that was cut short is another one than its name says.
            Ok(content) if content.hash == name => kept.push(content),
            Ok(_) => warn!("{} is damaged, and isn't handed out", path.display()),
            Err(e) => warn!("an old page plugin can't be read: {}: {e}", path.display()),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_plugin_is_found_by_its_hash_for_a_year_and_a_damaged_one_never() {
        let dir = tempfile::tempdir().unwrap();
        let old = Content::new("the old plugin".into(), SCRIPT);
        keep(dir.path(), &old).unwrap();
        fs::write(dir.path().join("0123456789abcdef.js"), "cut sho").unwrap();
        let now = crate::server::now();
        let assets = Assets::load(dir.path(), now).unwrap();
        assert_eq!(assets.by_hash(&old.hash).unwrap().content.plain, "the old plugin");
        assert!(assets.by_hash("0123456789abcdef").is_none());

        let in_400_days = now + 400 * 24 * 3_600_000;
        assert!(kept(dir.path(), in_400_days).iter().all(|content| content.hash != old.hash));
        assert!(!dir.path().join(format!("{}.js", old.hash)).exists());
    }
}
