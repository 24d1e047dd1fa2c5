//! The settings of Heap: the form, and what it says once it is filled in.

use heapline_action::destination::{Fault, Setting, SettingKind};
use heapline_action::value::Object;

use crate::flatten::Nested;
use crate::settings::{CONSENT_CATEGORIES, check, fault, refused_identities};

const REGIONS: &[&str] = &["US", "EU"];

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "appId",
        label: "App Id",
        help: "The app_id corresponding to one of your projects: the id of its environment, digits \
               as text.",
        kind: SettingKind::Digits,
        required: true,
        default: None,
    },
    Setting {
        key: "region",
        label: "Region",
        help: "Where Heap keeps your data. Data sent to the other region is lost.",
        kind: SettingKind::Choice(REGIONS),
        required: false,
        default: Some(r#""US""#),
    },
    Setting {
        key: "api",
        label: "API",
        help: "Public: Heap's documented server API; numbers stay numbers. Partner: the form that \
               Segment and Customer.io use; event properties become text.",
        kind: SettingKind::Choice(&["public", "partner"]),
        required: false,
        default: Some(r#""public""#),
    },
    Setting {
        key: "nested",
        label: "Nested properties",
        help: "Heap takes no nested values. Flatten: objects become dotted keys, lists JSON text. \
               Index: lists become dotted keys, too. Stringify: both become JSON text. Drop: both \
               are left out.",
        kind: SettingKind::Choice(&["flatten", "index", "stringify", "drop"]),
        required: false,
        default: Some(r#""flatten""#),
    },
    Setting {
        key: "anonymous",
        label: "Anonymous events",
        help: "Heap rejects server-side events without a user id. Reject: they are recorded with \
               that reason. As identity: the anonymous id is sent as identity, which can't be \
               merged with the real user later. Hold: they wait until their anonymous id is linked \
               to a user id. Send (partner API only): with the anonymous id as identifier.",
        kind: SettingKind::Choice(&["reject", "as_identity", "hold", "send"]),
        required: false,
        default: Some(r#""reject""#),
    },
    Setting {
        key: "baseUrl",
        label: "Base address",
        help: "Instead of the region's host: a sandbox or a proxy.",
        kind: SettingKind::Url,
        required: false,
        default: None,
    },
    Setting {
        key: "eventsPerMinute",
        label: "Events per minute",
        help: "Heap takes 15,000 events a minute. 0: no limit, for a sandbox or by contract.",
        kind: SettingKind::Count,
        required: false,
        default: Some("15000"),
    },
    Setting {
        key: "eventsPerMinutePerIdentity",
        label: "Events per minute and user",
        help: "Heap takes 1,000 events a minute of one user. 0: no limit.",
        kind: SettingKind::Count,
        required: false,
        default: Some("1000"),
    },
    Setting {
        key: "userUpdatesPer30Seconds",
        label: "Property updates per 30 seconds and user",
        help: "Heap takes 30 requests with property updates of one user in 30 seconds. 0: no limit.",
        kind: SettingKind::Count,
        required: false,
        default: Some("30"),
    },
    Setting {
        key: "retryWindow",
        label: "Retry window",
        help: "How long an event that Heap can't take now is tried again.",
        kind: SettingKind::Duration,
        required: false,
        default: Some(r#""72h""#),
    },
    Setting {
        key: "holdWindow",
        label: "Hold window",
        help: "How long an anonymous event waits for its user id if anonymous events are held.",
        kind: SettingKind::Duration,
        required: false,
        default: Some(r#""30d""#),
    },
    refused_identities("User ids that name nobody. Heap would merge all who share one, for good."),
    CONSENT_CATEGORIES,
];

/// Which of Heap's two forms is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Public,
    Partner,
}

/// What becomes of an event without a user id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anonymous {
    Reject,
    AsIdentity,
    Hold,
    Send,
}

/// The settings, read.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) app_id: String,
    pub(super) api: Api,
    pub(super) nested: Nested,
    pub(super) anonymous: Anonymous,
    pub(super) base_url: String,
    pub(super) events_per_minute: u32,
    pub(super) events_per_minute_per_identity: u32,
    pub(super) user_updates_per_30_seconds: u32,
    pub(super) retry_window_ms: u64,
    pub(super) hold_window_ms: u64,
    pub(super) refused_identities: Vec<String>,
    pub(super) consent_categories: Vec<String>,
}

impl Config {
    /// Reads `given`, or tells all its faults.
    pub(super) fn read(given: &Object<'_>) -> Result<Config, Vec<Fault>> {
        let (settings, mut faults) = check(SETTINGS, given);
        let word = |key| settings.text(key).unwrap_or_default();
        if word("anonymous") == "send" && word("api") == "public" {
            faults.push(fault(
                "anonymous",
                "\"send\" works with api = \"partner\" only; the public API takes no anonymous id",
            ));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let count = |key| u32::try_from(settings.count(key)).unwrap_or(u32::MAX);
        let host = match word("region") {
            "EU" => "https://c.eu.heap-api.com",
            _ => "https://heapanalytics.com",
        };
        Ok(Config {
            app_id: word("appId").to_owned(),
            api: if word("api") == "partner" { Api::Partner } else { Api::Public },
            nested: match word("nested") {
                "index" => Nested::Index,
                "stringify" => Nested::Stringify,
                "drop" => Nested::Drop,
                _ => Nested::Flatten,
            },
            anonymous: match word("anonymous") {
                "as_identity" => Anonymous::AsIdentity,
                "hold" => Anonymous::Hold,
                "send" => Anonymous::Send,
                _ => Anonymous::Reject,
            },
            base_url: settings.text("baseUrl").unwrap_or(host).to_owned(),
            events_per_minute: count("eventsPerMinute"),
            events_per_minute_per_identity: count("eventsPerMinutePerIdentity"),
            user_updates_per_30_seconds: count("userUpdatesPer30Seconds"),
            retry_window_ms: settings.count("retryWindow"),
            hold_window_ms: settings.count("holdWindow"),
            refused_identities: settings.texts("refusedIdentities").to_vec(),
            consent_categories: settings.texts("consentCategories").to_vec(),
        })
    }

    /// What a careful operator should know.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.anonymous == Anonymous::AsIdentity {
            warnings.push(
                "anonymous = \"as_identity\": Heap sees each anonymous id as a user of its own and \
                 can never merge it with the real user later."
                    .to_owned(),
            );
        }
        if self.anonymous == Anonymous::Hold && self.hold_window_ms == 0 {
            warnings.push(
                "holdWindow is 0: anonymous events expire at once instead of waiting for a user id."
                    .to_owned(),
            );
        }
        warnings
    }
}
