//! The switches: how the sandbox decides what no source settles; a profile sets them all.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident),+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub(crate) enum $name { $($variant),+ }
    )+};
}

choices! {
    Profile { Documented, Lenient, Silent }
    Success { Documented, NoContent }
    ErrorBody { Text, Json }
    UnknownApp { Accept, Discard, Reject }
    MalformedApp { Reject, Discard }
    Take { Reject, Accept }
    LongValue { Reject, Cut }
    LongEvent { Reject, Cut, Drop }
    LongKey { Reject, Drop }
    BooleanValue { Reject, Text, Drop }
    NullValue { Reject, Drop }
    NestedObject { Reject, Drop, Json }
    ArrayItem { Reject, Json }
    ReservedId { Reject, Drop, Accept }
    BadTimestamp { Reject, Now }
    EpochTimestamp { Reject, Accept, Now }
    ZonelessTimestamp { Utc, Reject }
    BulkFailure { Whole, PerItem, Skip }
    Idempotency { FirstWins, Off }
    PartnerValue { Reject, Text, Drop }
    PartnerAnonymous { Accept, Reject, Discard }
    OnOff { On, Off }
    Accounts { Configured, NotConfigured }
}

/// A number of seconds, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected \"none\" or a whole number of seconds")]
pub(crate) enum Seconds {
    Some(u64),
    None(NoneWord),
}

choices! { NoneWord { None } }

impl Seconds {
    const NONE: Seconds = Seconds::None(NoneWord::None);

    pub(crate) fn get(self) -> Option<u64> {
        match self {
            Seconds::Some(seconds) => Some(seconds),
            Seconds::None(NoneWord::None) => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Switches {
    pub(crate) success: Success,
    pub(crate) error_body: ErrorBody,
    pub(crate) unknown_app_id: UnknownApp,
    pub(crate) malformed_app_id: MalformedApp,
    pub(crate) numeric_app_id: Take,
    pub(crate) numeric_user_id: Take,
    pub(crate) long_value: LongValue,
    pub(crate) long_event: LongEvent,
    pub(crate) long_key: LongKey,
    pub(crate) boolean_value: BooleanValue,
    pub(crate) null_value: NullValue,
    pub(crate) nested_object: NestedObject,
    pub(crate) array_item: ArrayItem,
    pub(crate) reserved_id: ReservedId,
    pub(crate) bad_timestamp: BadTimestamp,
    pub(crate) epoch_timestamp: EpochTimestamp,
    pub(crate) zoneless_timestamp: ZonelessTimestamp,
    pub(crate) bulk_failure: BulkFailure,
    pub(crate) idempotency: Idempotency,
    pub(crate) idempotency_ttl: Seconds,
    pub(crate) partner_short_key: Take,
    pub(crate) partner_value_type: PartnerValue,
    pub(crate) partner_anonymous: PartnerAnonymous,
    pub(crate) partner_library: Take,
    pub(crate) rates: OnOff,
    pub(crate) retry_after: Seconds,
    pub(crate) identify_limits: OnOff,
    pub(crate) accounts: Accounts,
    pub(crate) max_body_bytes: usize,
    pub(crate) deletion_delay: u64,
    pub(crate) token_life: u64,
}

impl Switches {
    /// The values of a profile. `apps_listed`: whether the sandbox was given a list of apps.
    pub(crate) fn of(profile: Profile, apps_listed: bool) -> Switches {
        let documented = Switches {
            success: Success::Documented,
            error_body: ErrorBody::Text,
            unknown_app_id: if apps_listed { UnknownApp::Discard } else { UnknownApp::Accept },
            malformed_app_id: MalformedApp::Reject,
            numeric_app_id: Take::Reject,
            numeric_user_id: Take::Reject,
            long_value: LongValue::Reject,
            long_event: LongEvent::Reject,
            long_key: LongKey::Reject,
            boolean_value: BooleanValue::Reject,
            null_value: NullValue::Reject,
            nested_object: NestedObject::Reject,
            array_item: ArrayItem::Reject,
            reserved_id: ReservedId::Reject,
            bad_timestamp: BadTimestamp::Reject,
            epoch_timestamp: EpochTimestamp::Reject,
            zoneless_timestamp: ZonelessTimestamp::Utc,
            bulk_failure: BulkFailure::Whole,
            idempotency: Idempotency::FirstWins,
            idempotency_ttl: Seconds::NONE,
            partner_short_key: Take::Reject,
            partner_value_type: PartnerValue::Reject,
            partner_anonymous: PartnerAnonymous::Accept,
            partner_library: Take::Reject,
            rates: OnOff::On,
            retry_after: Seconds::NONE,
            identify_limits: OnOff::On,
            accounts: Accounts::Configured,
            max_body_bytes: 10 << 20,
            deletion_delay: 0,
            token_life: 300,
        };
        let lenient = Switches {
            unknown_app_id: UnknownApp::Accept,
            malformed_app_id: MalformedApp::Discard,
            numeric_app_id: Take::Accept,
            numeric_user_id: Take::Accept,
            long_value: LongValue::Cut,
            long_event: LongEvent::Cut,
            long_key: LongKey::Drop,
            boolean_value: BooleanValue::Text,
            null_value: NullValue::Drop,
            nested_object: NestedObject::Json,
            array_item: ArrayItem::Json,
            reserved_id: ReservedId::Accept,
            bad_timestamp: BadTimestamp::Now,
            epoch_timestamp: EpochTimestamp::Accept,
            partner_short_key: Take::Accept,
            partner_value_type: PartnerValue::Text,
            partner_library: Take::Accept,
            rates: OnOff::Off,
            ..documented.clone()
        };
        match profile {
            Profile::Documented => documented,
            Profile::Silent => Switches {
                unknown_app_id: UnknownApp::Discard,
                long_event: LongEvent::Drop,
                nested_object: NestedObject::Drop,
                reserved_id: ReservedId::Drop,
                epoch_timestamp: EpochTimestamp::Now,
                bulk_failure: BulkFailure::Skip,
                partner_value_type: PartnerValue::Drop,
                partner_anonymous: PartnerAnonymous::Discard,
                rates: OnOff::On,
                ..lenient
            },
            Profile::Lenient => lenient,
        }
    }

    /// These switches with some changed; all or none. The error names the switch.
    pub(crate) fn with(&self, changes: &Map<String, Value>) -> Result<Switches, String> {
        let mut changed = self.clone();
        for (name, value) in changes {
            let Ok(Value::Object(mut all)) = serde_json::to_value(&changed) else {
                return Err("the switches can't be written as an object".into());
            };
            if all.insert(name.clone(), value.clone()).is_none() {
                return Err(format!("there is no switch `{name}`"));
            }
            changed = serde_json::from_value(Value::Object(all))
                .map_err(|error| format!("switch `{name}`: {error}"))?;
        }
        Ok(changed)
    }
}
