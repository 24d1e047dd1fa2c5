//! What a destination is: a form to fill in, and the functions behind it.
//!
//! The console's forms, the catalog, the help of the command line and the checks of the workspace
//! are all drawn from [`Definition`].

use std::sync::Arc;

use crate::pipeline::Action;
use crate::plan::{Answer, Endpoint, Plan, PlanContext, Reading, Refusal};
use crate::value::{Object, Value};

/// Everything that is known of a destination before it is configured.
#[derive(Debug)]
pub struct Definition {
    /// Its name in workspace documents, e.g. `heap`.
    pub slug: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What it does, in a few sentences.
    pub description: &'static str,
    /// Who delivers.
    pub mode: Mode,
    /// Takes events of the JavaScript client.
    pub web_sources: bool,
    /// Takes events of server libraries, the HTTP API, mobile clients, files.
    pub api_sources: bool,
    /// Calls that its catalog entry names as supported.
    pub calls: &'static [&'static str],
    /// Names in the events' `integrations` object, exact and case-sensitive; the first is the
    /// documented one.
    pub names: &'static [&'static str],
    /// Its settings in the order of the form.
    pub settings: &'static [Setting],
    /// What it can do.
    pub action_types: &'static [ActionType],
    /// The actions that an integration has if it names none.
    pub presets: &'static [Preset],
}

/// Who delivers the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The server, through the destination's API.
    Cloud,
    /// The page, through the destination's own script.
    Web,
}

impl Mode {
    /// The catalog's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Mode::Cloud => "cloud",
            Mode::Web => "web",
        }
    }
}

/// One setting of a destination.
#[derive(Debug)]
pub struct Setting {
    /// Key in the workspace document.
    pub key: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// Help, in a sentence or two.
    pub help: &'static str,
    /// What it can hold.
    pub kind: SettingKind,
    /// Must be given.
    pub required: bool,
    /// JSON text of the value if it isn't given.
    pub default: Option<&'static str>,
}

/// What a setting can hold.
#[derive(Debug, PartialEq, Eq)]
pub enum SettingKind {
    /// Text.
    Text,
    /// Decimal digits, as text.
    Digits,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Boolean,
    /// A whole number from 0.
    Count,
    /// A number from 0 to 1.
    Fraction,
    /// A duration such as `72h`.
    Duration,
    /// An absolute `http` or `https` address without a trailing slash.
    Url,
    /// A host name, with an optional port, without scheme or path.
    Host,
    /// A list of texts.
    Texts,
}

/// One thing that a destination can do with an event.
#[derive(Debug)]
pub struct ActionType {
    /// Name in workspace documents, e.g. `trackEvent`.
    pub slug: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What it does.
    pub description: &'static str,
    /// The payload that a mapping has to give.
    pub fields: &'static [Field],
}

/// One field of an action's payload.
#[derive(Debug)]
pub struct Field {
    /// Key in the mapping.
    pub key: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// What it means.
    pub description: &'static str,
    /// What it can hold.
    pub kind: FieldKind,
    /// Must be there.
    pub required: bool,
    /// May be null.
    pub allow_null: bool,
    /// A list of such values.
    pub multiple: bool,
    /// If not empty: one of these.
    pub choices: &'static [&'static str],
    /// A further rule for texts.
    pub format: Option<Format>,
    /// JSON text of the mapping that presets and forms start from.
    pub default: Option<&'static str>,
}

/// What a field can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Text, one line.
    String,
    /// Text, several lines.
    Text,
    /// A number.
    Number,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A moment.
    Datetime,
    /// An object.
    Object,
}

/// A rule for texts beyond being text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An e-mail address.
    Email,
}

/// An action that an integration starts with.
#[derive(Debug)]
pub struct Preset {
    /// Name of the action.
    pub name: &'static str,
    /// [`ActionType::slug`].
    pub action_type: &'static str,
    /// Text of the trigger. The mapping is the fields' defaults.
    pub trigger: &'static str,
}

/// One thing wrong with a document, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Place, e.g. `settings.appId`.
    pub path: String,
    /// What was found and what was expected, as one clause.
    pub message: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// A destination: its form, and how a filled-in form becomes something that plans.
pub trait Destination: Send + Sync {
    /// The form.
    fn definition(&self) -> &'static Definition;

    /// Checks `settings` and gives what works by them. All faults at once, with paths that start at
    /// the settings (`appId`); unknown keys are faults.
    fn configure(&self, settings: &Object<'_>) -> Result<Configured, Vec<Fault>>;
}

/// A destination with its settings.
#[derive(Clone)]
pub enum Configured {
    /// The server delivers.
    Cloud(Arc<dyn Cloud>),
    /// The page delivers.
    Web(Arc<dyn Web>),
}

/// A configured destination to which the server delivers.
pub trait Cloud: Send + Sync {
    /// Where requests go. A [`crate::plan::Step`] names an endpoint by its index.
    fn endpoints(&self) -> &[Endpoint];

    /// The requests for one checked payload of the action type `action_type` (an index into
    /// [`Definition::action_types`]). A function of its arguments.
    fn plan(&self, action_type: usize, payload: &Object<'_>, context: PlanContext<'_>) -> Plan;

    /// How to read an answer.
    fn read(&self, answer: &Answer) -> Reading;

    /// What to look at if every request is refused, whatever it carries: one or two sentences.
    fn remedy(&self) -> String {
        "Check the integration's settings.".to_owned()
    }

    /// Longest time in milliseconds that a delivery is tried again.
    fn retry_window_ms(&self) -> u64;

    /// Longest time in milliseconds that an event is held for an identity; 0 if it never is.
    fn hold_window_ms(&self) -> u64;

    /// Consent categories that an event must have granted.
    fn consent_categories(&self) -> &[String] {
        &[]
    }

    /// Names the place at which events arrive, the same for each way to get there.
    fn environment(&self) -> String;

    /// Things that are allowed but that a careful operator should know, told when saving.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

/// One call of the page on the destination's script.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Method, e.g. `track`.
    pub method: &'static str,
    /// Its arguments.
    pub args: Vec<Value<'static>>,
}

/// How a page starts the destination's script.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// Address of the script.
    pub script: String,
    /// The script's configuration.
    pub config: Object<'static>,
    /// Methods that are queued until the script has loaded.
    pub stubs: &'static [&'static str],
}

/// Origins that a page's content security policy must allow, such as `https://cdn.example`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    /// Of scripts.
    pub scripts: Vec<String>,
    /// Of requests.
    pub requests: Vec<String>,
    /// Of images that carry data.
    pub images: Vec<String>,
}

/// The destination by which the server delivers in place of the page.
#[derive(Clone, Debug, PartialEq)]
pub struct Fallback {
    /// [`Definition::slug`] of a cloud destination that has action types of the same slugs.
    pub destination: &'static str,
    /// Its settings.
    pub settings: Object<'static>,
    /// By action type: a field of the page's action, and the one of theirs that has its mapping.
    /// Their other fields have their defaults.
    pub fields: &'static [(&'static str, &'static [(&'static str, &'static str)])],
}

/// A configured destination to which the page delivers.
pub trait Web: Send + Sync {
    /// The calls for one checked payload, in order; or why the page can't send it. What the payload
    /// was made of should be as the page has it ([`Value::into_page`]).
    fn calls(&self, action_type: usize, payload: &Object<'_>) -> Result<Vec<Call>, Refusal>;

    /// How the page starts.
    fn start(&self) -> Start;

    /// The settings that the page's plugin is given, without its actions and without what the
    /// server alone knows (addresses, write key, revision).
    fn page_settings(&self) -> Object<'static>;

    /// One action as the page's plugin is given it.
    fn page_action(&self, action: &Action) -> Object<'static>;

    /// As [`Cloud::environment`].
    fn environment(&self) -> String;

    /// True if the page is to tell the server what became of events.
    fn reports(&self) -> bool {
        true
    }

    /// Share of the successes that the page tells, from 0 to 1. It tells all failures.
    fn report_share(&self) -> f64 {
        1.0
    }

    /// Where the destination's script comes from and sends to, for the page's content security
    /// policy.
    fn hosts(&self) -> Hosts {
        Hosts::default()
    }

    /// How the server delivers what the page reports that it couldn't; `None` if it doesn't.
    fn fallback(&self) -> Option<Fallback> {
        None
    }

    /// Consent categories that an event must have granted.
    fn consent_categories(&self) -> &[String] {
        &[]
    }
}
