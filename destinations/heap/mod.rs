//! Heap, cloud mode: delivered by the server through Heap's API.

use std::sync::Arc;

use heapline_action::destination::{
    ActionType, Cloud, Configured, Definition, Destination, Fault, Mode, Preset,
};
use heapline_action::plan::{Answer, Endpoint, Plan, PlanContext, Reading, Refusal};
use heapline_action::value::Object;

mod config;
mod endpoints;
mod event_key;
mod identify_user;
mod identity;
mod properties;
mod timestamp;
mod track_event;

use config::Config;

/// The destination itself.
#[derive(Clone, Copy, Debug)]
pub struct Heap;

static DEFINITION: Definition = Definition {
    slug: "heap",
    title: "Heap",
    description: "Identify your users in Heap, enrich their profiles, and send events that \
                  represent what they do in your product. Delivered by the server, in bulk, with \
                  an outcome for every event.",
    mode: Mode::Cloud,
    web_sources: true,
    api_sources: true,
    calls: &["track", "identify"],
    names: &["Heap Cloud (Actions)", "Heap", "Heap Cloud", "actions-heap-cloud"],
    settings: config::SETTINGS,
    action_types: &[
        ActionType {
            slug: "trackEvent",
            title: "Track Event",
            description: "Send an event to Heap.",
            fields: track_event::FIELDS,
        },
        ActionType {
            slug: "identifyUser",
            title: "Identify User",
            description: "Set the user ID for a particular device ID or update user properties.",
            fields: identify_user::FIELDS,
        },
    ],
    presets: &[
        Preset {
            name: "Track Event",
            action_type: "trackEvent",
            trigger: "type = \"track\" or type = \"page\" or type = \"screen\"",
        },
        Preset {
            name: "Identify User",
            action_type: "identifyUser",
            trigger: "type = \"identify\"",
        },
    ],
};

impl Destination for Heap {
    fn definition(&self) -> &'static Definition {
        &DEFINITION
    }

    fn configure(&self, settings: &Object<'_>) -> Result<Configured, Vec<Fault>> {
        let config = Config::read(settings)?;
        let endpoints = endpoints::of(&config);
        Ok(Configured::Cloud(Arc::new(HeapCloud { config, endpoints })))
    }
}

struct HeapCloud {
    config: Config,
    endpoints: [Endpoint; 2],
}

impl Cloud for HeapCloud {
    fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    fn plan(&self, action_type: usize, payload: &Object<'_>, context: PlanContext<'_>) -> Plan {
        let plan = match action_type {
            0 => track_event::plan(&self.config, payload, context),
            1 => identify_user::plan(&self.config, payload, context),
            _ => {
                let sentence = format!("Heap has no action type number {action_type}.");
                return Plan::Refuse(Refusal { code: "unknown_action_type", sentence });
            }
        };
        endpoints::refuse_oversized(plan, &self.endpoints)
    }

    fn read(&self, answer: &Answer) -> Reading {
        endpoints::read(answer)
    }

    fn remedy(&self) -> String {
        format!(
            "Check that Heap has an environment with the App ID {:?} in the region of the settings, \
             and that {} is its address.",
            self.config.app_id, self.config.base_url
        )
    }

    fn retry_window_ms(&self) -> u64 {
        self.config.retry_window_ms
    }

    fn hold_window_ms(&self) -> u64 {
        match self.config.anonymous {
            config::Anonymous::Hold => self.config.hold_window_ms,
            config::Anonymous::Reject | config::Anonymous::AsIdentity | config::Anonymous::Send => {
                0
            }
        }
    }

    fn environment(&self) -> String {
        format!("Heap's environment {}", self.config.app_id)
    }

    fn consent_categories(&self) -> &[String] {
        &self.config.consent_categories
    }

    fn warnings(&self) -> Vec<String> {
        self.config.warnings()
    }
}
