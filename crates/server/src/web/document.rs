//! The settings document of a source: one for both client families.
//!
//! Which members the clients need, and what goes wrong without them, was measured with
//! `@customerio/cdp-analytics-browser` 0.5.11 and `@segment/analytics-next` 1.84.3; docs/web.md.

use heapline_action::destination::{Configured, Definition, Web};
use heapline_action::value::{Number, Object, Value};

use super::address::PublicAddress;
use super::assets::Assets;
use super::watch::Watched;
use crate::workspace::{Integration, Source, Workspace};

/// The names under which each client looks for its way to the server.
const MAIN_KEYS: [&str; 2] = ["Customer.io Data Pipelines", "Segment.io"];

/// What a document says beyond the workspace.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) address: &'a PublicAddress,
    pub(super) assets: &'a Assets,
    /// Whose pages report all that they do.
    pub(super) watched: &'a Watched,
}

/// The document as JSON text. A disabled source's has no page integration: its events still arrive,
/// and are recorded as refused.
pub(super) fn of(workspace: &Workspace, source: &Source, key: &str, around: Around<'_>) -> String {
    let Around { address, assets, .. } = around;
    let connected =
        || workspace.integrations.iter().filter(|i| i.enabled && i.takes(&source.id)).map(|i| &**i);
    let plugin = assets.plugin().filter(|_| source.enabled);
    let pages: Vec<Page> = match plugin {
        Some(plugin) => connected()
            .filter_map(|integration| Page::of(integration, &plugin.content.hash))
            .collect(),
        None => Vec::new(),
    };
    let mut unbundled: Vec<&str> = Vec::new();
    for integration in connected().filter(|i| matches!(i.configured, Configured::Cloud(_))) {
        let name = integration.destination.definition().names.first();
        unbundled.extend(name.filter(|name| !unbundled.contains(name)));
    }

    let bundled = pages.iter().map(|page| {
        let ids = vec![Value::from(&*page.integration.id)];
        (page.name.into(), Value::Array(ids))
    });
    let server = object([
        ("apiKey", Value::from(key)),
        ("apiHost", Value::from(address.api_host())),
        ("protocol", Value::from(address.protocol())),
        ("addBundledMetadata", Value::from(true)),
        ("unbundledIntegrations", Value::Array(unbundled.into_iter().map(Value::from).collect())),
        ("maybeBundledConfigIds", Value::Object(bundled.collect())),
    ]);
    let mut integrations = Object::new();
    for name in MAIN_KEYS {
        integrations.insert(name, server.clone());
    }
    for page in &pages {
        integrations.insert(page.name, page.entry());
    }
    let document = object([
        ("integrations", Value::Object(integrations)),
        ("plan", object([])),
        ("middlewareSettings", object([("routingRules", Value::Array(vec![]))])),
        ("enabledMiddleware", object([])),
        (
            "metrics",
            object([
                ("sampleRate", Value::Number(Number::UInt(0))),
                ("host", Value::from(address.api_host())),
            ]),
        ),
        ("legacyVideoPluginsEnabled", Value::from(false)),
        (
            "remotePlugins",
            Value::Array(
                pages
                    .iter()
                    .map(|page| page.remote_plugin(workspace.revision, key, around))
                    .collect(),
            ),
        ),
    ]);
    document.to_json()
}

/// An integration that the page delivers to.
struct Page<'a> {
    integration: &'a Integration,
    web: &'a dyn Web,
    name: &'static str,
    plugin_hash: &'a str,
}

impl<'a> Page<'a> {
    fn of(integration: &'a Integration, plugin_hash: &'a str) -> Option<Page<'a>> {
        let Configured::Web(web) = &integration.configured else { return None };
        let definition: &Definition = integration.destination.definition();
        let name = definition.names.first()?;
        Some(Page { integration, web: &**web, name, plugin_hash })
    }

    /// Its entry among the integrations. `componentTypes` must be there and not name `browser`:
    /// that would make the clients look for a script of the old kind, too.
    fn entry(&self) -> Value<'static> {
        let versions = object([("componentTypes", Value::Array(vec![]))]);
        let mut entry =
            members([("bundlingStatus", Value::from("bundled")), ("versionSettings", versions)]);
        let categories = self.web.consent_categories();
        if !categories.is_empty() {
            let list = categories.iter().cloned().map(Value::from).collect();
            entry.insert("consentSettings", object([("categories", Value::Array(list))]));
        }
        Value::Object(entry)
    }

    fn remote_plugin(&self, revision: u64, key: &str, around: Around<'_>) -> Value<'static> {
        let Around { address, assets, watched } = around;
        let script = |hash: &str| address.of(&format!("/p/hw/{hash}.js"));
        let mut settings = self.web.page_settings();
        match settings.get_mut("receipts") {
            Some(Value::Object(receipts)) if self.web.reports() => {
                receipts.insert("url", Value::from(address.of("/v1/r")));
                // Switched off stays off: 0 is what the operator wants of pages, whoever watches.
                if self.web.report_share() > 0.0 && watched.is(&self.integration.id) {
                    receipts.insert("rate", Value::Number(Number::UInt(1)));
                }
            }
            Some(_) | None => {
                settings.remove("receipts");
            }
        }
        settings.insert("writeKey", Value::from(key.to_owned()));
        settings.insert("revision", Value::Number(Number::UInt(revision)));
        if let Some(overlay) = assets.overlay() {
            settings.insert("debugUrl", Value::from(script(overlay)));
        }
        let actions = self.integration.actions.iter().filter(|action| action.enabled);
        let actions = actions.map(|action| Value::Object(self.web.page_action(action)));
        settings.insert("subscriptions", Value::Array(actions.collect()));
        object([
            ("name", Value::from(self.name)),
            ("creationName", Value::from(self.name)),
            ("libraryName", Value::from(format!("{}Destination", self.name))),
            ("url", Value::from(script(self.plugin_hash))),
            ("settings", Value::Object(settings)),
        ])
    }
}

fn members<'a, const N: usize>(members: [(&'static str, Value<'a>); N]) -> Object<'a> {
    members.into_iter().map(|(key, value)| (key.into(), value)).collect()
}

fn object<'a, const N: usize>(list: [(&'static str, Value<'a>); N]) -> Value<'a> {
    Value::Object(members(list))
}
