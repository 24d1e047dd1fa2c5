//! Workspace documents for tests: one source, one integration, and what differs.

use std::path::Path;

/// A document with the source `server` and the integration `heap`.
#[derive(Clone)]
pub(crate) struct Workspace {
    base_url: String,
    settings: String,
    integration: String,
    more: String,
}

impl Workspace {
    pub(crate) fn to(base_url: &str) -> Workspace {
        Workspace {
            base_url: base_url.to_owned(),
            settings: String::new(),
            integration: r#"sources = ["server"]"#.to_owned(),
            more: String::new(),
        }
    }

    /// Further settings of the integration, e.g. `anonymous = "hold"`.
    pub(crate) fn settings(mut self, settings: &str) -> Workspace {
        self.settings = format!(", {settings}");
        self
    }

    /// The integration's members beside the usual ones; `sources` is one of them.
    pub(crate) fn integration(mut self, members: &str) -> Workspace {
        self.integration = members.to_owned();
        self
    }

    /// Further sources and integrations.
    pub(crate) fn more(mut self, more: &str) -> Workspace {
        self.more = more.to_owned();
        self
    }

    pub(crate) fn text(&self) -> String {
        format!(
            r#"
[[sources]]
id = "server"
kind = "node"
writeKeys = ["wk_server"]

[[sources]]
id = "other"
writeKeys = ["wk_other"]

[[integrations]]
id = "heap"
destination = "heap"
settings = {{ appId = "11", baseUrl = "{}"{} }}
{}
{}
"#,
            self.base_url, self.settings, self.integration, self.more
        )
    }

    /// Puts it in place of `file` in one step.
    pub(crate) fn write(&self, file: &Path) {
        put(file, &self.text());
    }
}

/// Puts `text` in place of `file` in one step, as careful tools do.
pub(crate) fn put(file: &Path, text: &str) {
    let fresh = file.with_extension("new");
    std::fs::write(&fresh, text).unwrap();
    std::fs::rename(&fresh, file).unwrap();
}
