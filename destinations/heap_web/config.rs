//! The settings of Heap (Web): the form, and what it says once it is filled in.

use heapline_action::destination::{Fault, Setting, SettingKind};
use heapline_action::value::{Number, Object, Value};

use crate::settings::{CONSENT_CATEGORIES, check, refused_identities};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "appId",
        label: "App Id",
        help: "The app ID of the environment to which you want to send data, digits as text. You \
               find it on Heap's Projects page.",
        kind: SettingKind::Digits,
        required: true,
        default: None,
    },
    Setting {
        key: "disableTextCapture",
        label: "Disable Text Capture",
        help: "Redacts all target text on your website.",
        kind: SettingKind::Boolean,
        required: false,
        default: Some("false"),
    },
    Setting {
        key: "secureCookie",
        label: "Secure Cookie",
        help: "Heap's cookies over HTTPS only. Recommended where your site is served over HTTPS.",
        kind: SettingKind::Boolean,
        required: false,
        default: Some("false"),
    },
    Setting {
        key: "trackingServer",
        label: "Tracking Server",
        help: "First-party data collection with Heap's classic script. Usually left out.",
        kind: SettingKind::Url,
        required: false,
        default: None,
    },
    Setting {
        key: "ingestServer",
        label: "Ingest Server",
        help: "First-party data collection with Heap's newer script. Usually left out.",
        kind: SettingKind::Url,
        required: false,
        default: None,
    },
    Setting {
        key: "hostname",
        label: "Hostname",
        help: "Host of a self-hosted Heap script, without scheme and app id: \
               https://{hostname}/js/heap-{appId}.js. Usually left out.",
        kind: SettingKind::Host,
        required: false,
        default: None,
    },
    Setting {
        key: "region",
        label: "Region",
        help: "Where Heap keeps your data: decides from where its newer script is loaded.",
        kind: SettingKind::Choice(&["US", "EU"]),
        required: false,
        default: Some(r#""US""#),
    },
    Setting {
        key: "sdk",
        label: "Script",
        help: "Which of Heap's scripts is loaded. Auto: the classic one with a hostname, or with a \
               tracking server and no ingest server; else the newer one.",
        kind: SettingKind::Choice(&["auto", "classic", "v5"]),
        required: false,
        default: Some(r#""auto""#),
    },
    Setting {
        key: "browserArrayLimit",
        label: "Browser Array Limit",
        help: "Most events that the items of lists in an event's properties are sent as, beside \
               the event itself. 0: none.",
        kind: SettingKind::Count,
        required: false,
        default: Some("0"),
    },
    Setting {
        key: "numbers",
        label: "Numbers",
        help: "Text: numbers are sent as text. Number: as numbers, so that Heap can sum them.",
        kind: SettingKind::Choice(&["text", "number"]),
        required: false,
        default: Some(r#""text""#),
    },
    Setting {
        key: "resetOnLogout",
        label: "Reset on logout",
        help: "The client's reset() resets Heap's identity, too.",
        kind: SettingKind::Boolean,
        required: false,
        default: Some("false"),
    },
    refused_identities("User ids that name nobody. Heap would merge all who share one, for good."),
    Setting {
        key: "receipts",
        label: "Receipts",
        help: "Share of the events whose fate the page reports to the server, from 0 to 1. \
               Failures are always reported; 0: nothing is, unless the server fallback is on.",
        kind: SettingKind::Fraction,
        required: false,
        default: Some("0.05"),
    },
    Setting {
        key: "fallback",
        label: "Server fallback",
        help: "The server delivers what the page reports that it couldn't, for example since \
               Heap's script was blocked.",
        kind: SettingKind::Boolean,
        required: false,
        default: Some("false"),
    },
    Setting {
        key: "fallbackUrl",
        label: "Server fallback address",
        help: "Where Heap's API is, for the server fallback. Usually left out: the region's.",
        kind: SettingKind::Url,
        required: false,
        default: None,
    },
    CONSENT_CATEGORIES,
];

/// Which of Heap's scripts is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sdk {
    Auto,
    Classic,
    V5,
}

/// The settings, read.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) app_id: String,
    pub(super) region: &'static str,
    pub(super) sdk: Sdk,
    pub(super) disable_text_capture: bool,
    pub(super) secure_cookie: bool,
    pub(super) tracking_server: Option<String>,
    pub(super) ingest_server: Option<String>,
    pub(super) hostname: Option<String>,
    pub(super) array_limit: u64,
    pub(super) numbers_stay: bool,
    reset_on_logout: bool,
    pub(super) refused_identities: Vec<String>,
    pub(super) receipt_rate: f64,
    pub(super) fallback: bool,
    fallback_url: Option<String>,
    pub(super) consent_categories: Vec<String>,
}

impl Config {
    /// Reads `given`, or tells all its faults.
    pub(super) fn read(given: &Object<'_>) -> Result<Config, Vec<Fault>> {
        let (settings, faults) = check(SETTINGS, given);
        if !faults.is_empty() {
            return Err(faults);
        }
        let word = |key| settings.text(key).unwrap_or_default();
        let own = |key| settings.text(key).map(str::to_owned);
        Ok(Config {
            app_id: word("appId").to_owned(),
            region: if word("region") == "EU" { "EU" } else { "US" },
            sdk: match word("sdk") {
                "classic" => Sdk::Classic,
                "v5" => Sdk::V5,
                _ => Sdk::Auto,
            },
            disable_text_capture: settings.flag("disableTextCapture"),
            secure_cookie: settings.flag("secureCookie"),
            tracking_server: own("trackingServer"),
            ingest_server: own("ingestServer"),
            hostname: own("hostname"),
            array_limit: settings.count("browserArrayLimit"),
            numbers_stay: word("numbers") == "number",
            reset_on_logout: settings.flag("resetOnLogout"),
            refused_identities: settings.texts("refusedIdentities").to_vec(),
            receipt_rate: settings.fraction("receipts"),
            fallback: settings.flag("fallback"),
            fallback_url: own("fallbackUrl"),
            consent_categories: settings.texts("consentCategories").to_vec(),
        })
    }

    /// The settings of Heap in cloud mode that say the same. The page has checked the consent.
    pub(super) fn fallback_settings(&self) -> Object<'static> {
        let refused = self.refused_identities.iter().cloned().map(Value::from);
        let mut settings = Object::new();
        settings.insert("appId", Value::from(self.app_id.clone()));
        settings.insert("region", Value::from(self.region));
        settings.insert("refusedIdentities", Value::Array(refused.collect()));
        if let Some(url) = &self.fallback_url {
            settings.insert("baseUrl", Value::from(url.clone()));
        }
        settings
    }

    /// The settings by the names of the plugin's README. Of `receipts` only the rate: the address is
    /// the server's to say.
    pub(super) fn page_settings(&self) -> Object<'static> {
        let texts = |list: &[String]| Value::Array(list.iter().cloned().map(Value::from).collect());
        let mut page = Object::new();
        page.insert("appId", Value::from(self.app_id.clone()));
        page.insert("start", Value::Object(super::start::for_page(self)));
        page.insert("browserArrayLimit", Value::Number(Number::UInt(self.array_limit)));
        page.insert("numbers", Value::from(if self.numbers_stay { "number" } else { "text" }));
        page.insert("resetOnLogout", Value::from(self.reset_on_logout));
        page.insert("consentCategories", texts(&self.consent_categories));
        page.insert("refusedIdentities", texts(&self.refused_identities));
        let mut receipts = Object::new();
        receipts.insert("rate", Value::Number(Number::from(self.receipt_rate)));
        page.insert("receipts", Value::Object(receipts));
        page
    }
}
