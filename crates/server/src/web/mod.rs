//! Web mode: what pages are given. Settings documents, the page plugin, the clients' snippet files.
//!
//! All answers are made ahead and given from memory: no disk, no lock, no store. A settings document
//! that fails costs a page all its events, so [`Web`] answers before everything else, from the
//! moment that the workspace is read until the process ends.

mod address;
mod assets;
mod browser;
mod document;
mod policy;
mod receipts;
mod reply;
mod route;
pub(crate) mod snippet;
mod watch;

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::{Context, Result};
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use heapline_action::destination::Configured;
use heapline_store::{Rejected, Store};
use http::{Method, Request, Response};
use http_body_util::Full;
use tracing::warn;

use crate::ingest::{self, Reported};
use crate::server::now;
use crate::workspace::{Integration, Source, SourceKind, Workspace};

pub use address::PublicAddress;
use assets::{Assets, Content, Served};
use document::Around;
pub use policy::Policy;
pub use receipts::Listener;
use receipts::Receipts;
use reply::Lifetime;
use route::Route;
use watch::Watched;
pub use watch::Watching;

const JSON: &str = "application/json";

/// What to tell an operator whose program was built without the page's files.
const NOT_BUILT: &str = "this program was built without the files for pages (the page plugin and \
                         the clients' scripts); run `cargo xtask setup`, build it again, and start \
                         it anew";

/// Answers pages. One for the program, shared by all connections.
pub struct Web {
    address: PublicAddress,
    assets: Assets,
    /// None until a workspace was read, in this run or an earlier one.
    documents: ArcSwapOption<Documents>,
    kept: PathBuf,
    receipts: Receipts,
    store: OnceLock<Arc<dyn Store>>,
    watched: Watched,
    /// What the documents say. Locked while they are made, so that the last made are of the last.
    workspace: Mutex<Option<Arc<Workspace>>>,
}

/// Write key to settings document.
type Documents = HashMap<Box<str>, Content>;

impl Web {
    /// Starts with the documents that an earlier run kept in `data`, so that pages have theirs
    /// while the store is opened. Plugins of earlier versions are kept there, too, since documents
    /// in the caches of browsers name them.
    pub fn open(address: PublicAddress, data: &Path) -> Result<Web> {
        let dir = data.join("web");
        let assets = Assets::load(&dir, now())?;
        let kept = dir.join("documents.json");
        let documents = std::fs::read_to_string(&kept).ok().and_then(|text| read_kept(&text));
        Ok(Web {
            address,
            assets,
            documents: ArcSwapOption::new(documents.map(Arc::new)),
            kept,
            receipts: Receipts::default(),
            store: OnceLock::new(),
            watched: Watched::default(),
            workspace: Mutex::default(),
        })
    }

    /// From now on requests with unknown keys, and what pages report, are recorded; `listener` hears
    /// the latter.
    pub fn record_in(&self, store: Arc<dyn Store>, listener: Listener) {
        self.receipts.keep_in(store.clone());
        self.receipts.tell(listener);
        // The first stays: a server has one store.
        self.store.set(store).ok();
    }

    /// From now on the documents are those of `workspace`.
    pub fn set_workspace(&self, workspace: &Arc<Workspace>) {
        let pages = |kind| kind == SourceKind::JavaScript;
        if workspace.sources.iter().any(|source| pages(source.kind)) {
            if self.assets.plugin().is_none() {
                warn!("{NOT_BUILT}; until then pages get no plugin and no scripts");
            }
            if let Some(doubt) = self.address.doubt() {
                warn!("{doubt}");
            }
        }
        self.receipts.set_workspace(workspace);
        let mut current = self.workspace.lock().unwrap_or_else(PoisonError::into_inner);
        let sources = workspace.sources.iter();
        let documents: Documents =
            sources.flat_map(|source| self.documents_of(workspace, source)).collect();
        if let Err(e) = self.keep(&documents) {
            warn!("the pages' settings aren't kept for the next start: {e:#}");
        }
        self.documents.store(Some(Arc::new(documents)));
        *current = Some(workspace.clone());
    }

    fn documents_of(
        &self,
        workspace: &Workspace,
        source: &Source,
    ) -> impl Iterator<Item = (Box<str>, Content)> {
        let around =
            Around { address: &self.address, assets: &self.assets, watched: &self.watched };
        source.write_keys.iter().map(move |key| {
            let key = key.reveal();
            let text = document::of(workspace, source, key, around);
            (key.into(), Content::new(text.into(), JSON))
        })
    }

    /// While the answer is kept, pages with `integration` report all that they do: those that load
    /// from now on, or a minute later if their browser knows the settings already.
    pub fn watch(self: &Arc<Self>, integration: &str) -> Watching {
        Watching::new(self.clone(), integration)
    }

    /// Makes the documents anew that name `integration`.
    fn tell_pages_of(&self, integration: &str) {
        let current = self.workspace.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(workspace) = &*current else { return };
        let Some(integration) = workspace.integration(integration) else { return };
        let Configured::Web(_) = integration.configured else { return };
        let mut documents =
            self.documents.load_full().map(|all| (*all).clone()).unwrap_or_default();
        for source in workspace.sources.iter().filter(|source| integration.takes(&source.id)) {
            documents.extend(self.documents_of(workspace, source));
        }
        self.documents.store(Some(Arc::new(documents)));
    }

    /// What a page's content security policy must allow for `integration`; `None` if the page
    /// doesn't deliver to it.
    pub fn policy(&self, integration: &Integration) -> Option<Policy> {
        match &integration.configured {
            Configured::Web(web) => Some(Policy::of(&self.address, web.hosts())),
            Configured::Cloud(_) => None,
        }
    }

    fn keep(&self, documents: &Documents) -> Result<()> {
        let texts: BTreeMap<&str, &str> = documents
            .iter()
            .map(|(key, content)| Ok((&**key, std::str::from_utf8(&content.plain)?)))
            .collect::<Result<_>>()?;
        let dir = self.kept.parent().context("it has no directory")?;
        std::fs::create_dir_all(dir)?;
        // Write keys are secrets of the operator, though every visitor of a page is told one.
        let next = self.kept.with_extension("next");
        let mut options = std::fs::OpenOptions::new();
        options.create(true).write(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&next)?.write_all(&serde_json::to_vec(&texts)?)?;
        std::fs::rename(&next, &self.kept)?;
        Ok(())
    }

    /// Takes what a page reports. Does not block.
    pub fn take(&self, reported: &Reported) {
        self.receipts.take(reported, now());
    }

    /// Answers a request to one of the addresses for pages; `None` for any other.
    pub fn handle<B>(&self, request: &Request<B>) -> Option<Response<Full<Bytes>>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let mut response = self.answer(Route::of(request.uri().path())?, request);
        if request.method() == Method::HEAD {
            *response.body_mut() = Full::default();
        }
        Some(response)
    }

    fn answer<B>(&self, route: Route<'_>, request: &Request<B>) -> Response<Full<Bytes>> {
        let served = match route {
            Route::Settings(key) => {
                let documents = self.documents.load();
                let Some(documents) = &*documents else { return reply::starting() };
                return match documents.get(&*key) {
                    Some(document) => {
                        reply::content(document, Lifetime::Settings, request.headers())
                    }
                    None => self.unknown_key(&key),
                };
            }
            Route::Missing => return reply::missing("nothing lives at this address"),
            Route::Hashed(hash) => self.assets.by_hash(hash),
            Route::Plugin => self.assets.plugin(),
            Route::Snippet(family) => self.assets.snippet(family),
            Route::Chunk(family, name) => self.assets.chunk(family, name),
        };
        match served {
            Some(Served { content, hashed: true }) => {
                reply::content(content, Lifetime::Forever, request.headers())
            }
            Some(Served { content, hashed: false }) => {
                reply::content(content, Lifetime::Short, request.headers())
            }
            None if self.assets.plugin().is_none() => reply::not_built(NOT_BUILT),
            None => {
                reply::missing("no such file; a page may have asked for one of another version")
            }
        }
    }

    fn unknown_key(&self, key: &str) -> Response<Full<Bytes>> {
        let fault = ingest::unknown_key(key);
        if let Some(store) = self.store.get() {
            store.reject(vec![Rejected {
                at: now(),
                source: "".into(),
                code: fault.code.name().into(),
                message: format!("a page's settings: {fault}").into(),
                excerpt: "".into(),
            }]);
        }
        reply::unknown_key(&fault.to_string())
    }
}

fn read_kept(text: &str) -> Option<Documents> {
    let kept: HashMap<Box<str>, String> = serde_json::from_str(text).ok()?;
    let content = |(key, text): (_, String)| (key, Content::new(text.into(), JSON));
    Some(kept.into_iter().map(content).collect())
}
