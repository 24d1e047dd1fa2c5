//! Heap (Web): delivered by the page through Heap's own script.

use std::sync::Arc;

use heapline_action::destination::{
    ActionType, Call, Configured, Definition, Destination, Fallback, Fault, Hosts, Mode, Preset,
    Start, Web,
};
use heapline_action::pipeline::Action;
use heapline_action::plan::Refusal;
use heapline_action::value::{Object, Value};

mod calls;
mod config;
mod fields;
mod start;
pub mod tree;

use config::Config;

/// The destination itself.
#[derive(Clone, Copy, Debug)]
pub struct HeapWeb;

static DEFINITION: Definition = Definition {
    slug: "heap-web",
    title: "Heap (Web)",
    description: "Loads Heap's own script in your pages and calls it there. Works with the \
                  JavaScript client only: nothing passes through the server, so there is no \
                  history of what was sent but what the page reports. Prefer Heap where you can.",
    mode: Mode::Web,
    web_sources: true,
    api_sources: false,
    calls: &["track", "identify"],
    names: &["heap-web", "Heap (Web)", "Heap Web (Actions)", "actions-heap-web"],
    settings: config::SETTINGS,
    action_types: &[
        ActionType {
            slug: "trackEvent",
            title: "Track Event",
            description: "Track events",
            fields: fields::TRACK_EVENT,
        },
        ActionType {
            slug: "identifyUser",
            title: "Identify User",
            description: "Sets user identity",
            fields: fields::IDENTIFY_USER,
        },
    ],
    presets: &[
        Preset { name: "Track Event", action_type: "trackEvent", trigger: "type = \"track\"" },
        Preset {
            name: "Identify User",
            action_type: "identifyUser",
            trigger: "type = \"identify\"",
        },
    ],
};

/// Which field of Heap's action, in cloud mode, says what ours does.
const FALLBACK_FIELDS: &[(&str, &[(&str, &str)])] = &[
    (
        "trackEvent",
        &[
            ("name", "event"),
            ("properties", "properties"),
            ("identity", "identity"),
            ("anonymousId", "anonymous_id"),
            ("traits", "traits"),
        ],
    ),
    ("identifyUser", &[("userId", "user_id"), ("traits", "traits")]),
];

impl Destination for HeapWeb {
    fn definition(&self) -> &'static Definition {
        &DEFINITION
    }

    fn configure(&self, settings: &Object<'_>) -> Result<Configured, Vec<Fault>> {
        Ok(Configured::Web(Arc::new(Config::read(settings)?)))
    }
}

impl Web for Config {
    fn calls(&self, action_type: usize, payload: &Object<'_>) -> Result<Vec<Call>, Refusal> {
        let payload = &payload.clone().into_page();
        match action_type {
            0 => calls::track_event(self, payload),
            1 => calls::identify_user(self, payload),
            _ => {
                let sentence = format!("Heap (Web) has no action type number {action_type}.");
                Err(Refusal { code: "unknown_action_type", sentence })
            }
        }
    }

    fn start(&self) -> Start {
        start::of(self)
    }

    fn page_settings(&self) -> Object<'static> {
        self.page_settings()
    }

    fn page_action(&self, action: &Action) -> Object<'static> {
        let action_type = DEFINITION.action_types.get(action.action_type);
        let mut page = Object::new();
        page.insert("id", Value::from(action.id.clone()));
        page.insert("partnerAction", Value::from(action_type.map_or("", |known| known.slug)));
        page.insert("name", Value::from(action.name.clone()));
        page.insert("enabled", Value::from(action.enabled));
        page.insert("subscribe", Value::from(action.trigger_text.clone()));
        page.insert("test", tree::of(&action.trigger));
        page.insert("mapping", action.mapping.form());
        page
    }

    fn environment(&self) -> String {
        format!("Heap's environment {}", self.app_id)
    }

    fn reports(&self) -> bool {
        self.receipt_rate > 0.0 || self.fallback
    }

    fn report_share(&self) -> f64 {
        self.receipt_rate
    }

    fn hosts(&self) -> Hosts {
        start::hosts(self)
    }

    fn fallback(&self) -> Option<Fallback> {
        self.fallback.then(|| Fallback {
            destination: "heap",
            settings: self.fallback_settings(),
            fields: FALLBACK_FIELDS,
        })
    }

    fn consent_categories(&self) -> &[String] {
        &self.consent_categories
    }
}
