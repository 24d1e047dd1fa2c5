//! The calls with lists of items: check, limits, admission, and the items in order.

use std::collections::HashMap;
use std::sync::Arc;

use http::header;

use crate::Sandbox;
use crate::answer::Answer;
use crate::effects::{EffectKind, Effects};
use crate::items::{self, Identifiers, Item};
use crate::json::{Json, Members};
use crate::log::Verdict;
use crate::rates::{Ask, Subject};
use crate::schema::{AppId, Checked, Form, ItemCheck, Place, SchemaError, Slot, check_body};
use crate::state::Admission;
use crate::switches::{BulkFailure, ErrorBody, Success, Switches};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListCall {
    Track,
    UserProperties,
    AccountProperties,
    PartnerTrack,
    PartnerUserProperties,
}

/// What a request came to.
pub(crate) struct Outcome {
    pub(crate) answer: Answer,
    pub(crate) app_id: Option<Box<str>>,
    pub(crate) items: Vec<Verdict>,
}

impl Outcome {
    pub(crate) fn plain(answer: Answer) -> Outcome {
        Outcome { answer, app_id: None, items: Vec::new() }
    }
}

impl ListCall {
    fn form(self) -> &'static Form {
        match self {
            ListCall::Track => &items::TRACK,
            ListCall::UserProperties => &items::USER_PROPERTIES,
            ListCall::AccountProperties => &items::ACCOUNT_PROPERTIES,
            ListCall::PartnerTrack => &items::PARTNER_TRACK,
            ListCall::PartnerUserProperties => &items::PARTNER_USER_PROPERTIES,
        }
    }

    fn check_item(
        self,
        item: &Members<'_>,
        place: Place,
        switches: &Switches,
        effects: &mut Effects,
    ) -> ItemCheck<Item> {
        let judge = items::Judge { place, switches, effects };
        match self {
            ListCall::Track => judge.track(item),
            ListCall::UserProperties => judge.user_properties(item),
            ListCall::AccountProperties => judge.account_properties(item),
            ListCall::PartnerTrack => judge.partner_track(item),
            ListCall::PartnerUserProperties => judge.partner_user_properties(item),
        }
    }

    fn success(self, switches: &Switches) -> Answer {
        match (switches.success, self) {
            (Success::NoContent, _) => Answer::empty(204),
            (Success::Documented, ListCall::AccountProperties) => Answer::text(200, "OK"),
            (Success::Documented, _) => Answer::json(200, "{}"),
        }
    }

    /// What the call asks of the limits; there are none for users in bulk, accounts and partners.
    fn ask(self, checked: &Checked<Item>) -> Ask {
        let mut good = checked.slots.iter().filter_map(|slot| match slot {
            Slot::Good(Item::Event(event)) => Some(subject(&event.who, event.user)),
            Slot::Good(Item::User(user)) => Some(subject(&user.who, user.user)),
            Slot::Good(Item::Account(_)) | Slot::Dropped | Slot::Bad(_) => None,
        });
        match (self, checked.single) {
            (ListCall::Track, true) => good.next().map_or(Ask::Nothing, Ask::SingleTrack),
            (ListCall::UserProperties, true) => {
                good.next().map_or(Ask::Nothing, Ask::SingleUserProperties)
            }
            (ListCall::Track, false) => {
                let mut counts = HashMap::new();
                good.for_each(|subject| *counts.entry(subject).or_default() += 1);
                Ask::BulkTrack(counts)
            }
            (ListCall::UserProperties, false)
            | (
                ListCall::AccountProperties
                | ListCall::PartnerTrack
                | ListCall::PartnerUserProperties,
                _,
            ) => Ask::Nothing,
        }
    }
}

fn subject(who: &Identifiers, user: u64) -> Subject {
    match who.identity {
        Some(_) => Subject::Identity(user),
        None => Subject::UserId(user),
    }
}

/// A 400 with its text, or as the switch says with `{}`.
pub(crate) fn refusal(error: SchemaError, switches: &Switches) -> Answer {
    match switches.error_body {
        ErrorBody::Text => Answer::text(400, error.0),
        ErrorBody::Json => Answer::json(400, "{}"),
    }
}

pub(crate) fn not_an_object() -> SchemaError {
    Place::Body.fault("should be object")
}

/// A 429.
fn too_many_requests(switches: &Switches) -> Answer {
    let answer = Answer::empty(429);
    match switches.retry_after.get() {
        Some(seconds) => answer.with(header::RETRY_AFTER, &seconds.to_string()),
        None => answer,
    }
}

impl Sandbox {
    pub(crate) fn list_call(
        &self,
        call: ListCall,
        path: &str,
        body: &[u8],
        request: u64,
        switches: &Arc<Switches>,
    ) -> Outcome {
        let Some(Json::Object(body)) = Json::parse(body) else {
            return Outcome::plain(refusal(not_an_object(), switches));
        };
        let form = call.form();
        let refused = |answer, app_id| Outcome {
            answer,
            app_id,
            items: vec![Verdict::Refused; items_of(&body, form).len()],
        };
        let named_app = || body.get("app_id").and_then(Json::text).map(Into::into);

        let checked = check_body(&body, form, switches, |item, place, effects| {
            call.check_item(item, place, switches, effects)
        });
        let checked = match checked {
            Ok(checked) => checked,
            Err(error) => return refused(refusal(error, switches), named_app()),
        };

        let mut state = self.lock();
        if state.faults.has_poison(path)
            && let Some((index, property)) = state.faults.poisoned(path, &items_of(&body, form))
        {
            let properties = match call {
                ListCall::PartnerTrack | ListCall::PartnerUserProperties => "custom_properties",
                ListCall::Track | ListCall::UserProperties | ListCall::AccountProperties => {
                    "properties"
                }
            };
            let error = Place::Item(form.list, index)
                .fault_at(format_args!("{properties}['{property}']"), "should NOT be valid");
            return refused(refusal(error, switches), named_app());
        }

        let (app_id, malformed) = match &checked.app {
            AppId::Digits(app_id) => (app_id.clone(), false),
            AppId::Malformed(app_id) => (app_id.clone(), true),
        };
        let mut effects = Effects::default();
        let discards = if malformed {
            true
        } else {
            if state.rates_are_on() {
                let ask = call.ask(&checked);
                let now = state.clock.now();
                if !state.environment(&app_id).1.rates.admit(&ask, now) {
                    return refused(too_many_requests(switches), Some(app_id.into()));
                }
            }
            match state.admission(&app_id) {
                Admission::Store => false,
                Admission::Discard => true,
                Admission::Reject => {
                    let says = "should be equal to one of the allowed values";
                    let error = Place::Body.fault_at("app_id", says);
                    return refused(refusal(error, switches), Some(app_id.into()));
                }
            }
        };
        if call == ListCall::AccountProperties && !state.accounts_configured() {
            let answer = match switches.error_body {
                ErrorBody::Text => Answer::text(400, "Account ID is not configured"),
                ErrorBody::Json => Answer::json(400, "{}"),
            };
            return refused(answer, Some(app_id.into()));
        }

        let mut first_error = None;
        let mut verdicts = Vec::with_capacity(checked.slots.len());
        if discards {
            effects.add(EffectKind::AppDiscarded, &app_id);
        }
        for (index, slot) in checked.slots.into_iter().enumerate() {
            verdicts.push(match slot {
                Slot::Good(_) if discards => Verdict::Dropped,
                Slot::Good(item) => state.apply(&app_id, item, request, index, &mut effects),
                Slot::Dropped => Verdict::Dropped,
                Slot::Bad(error) => {
                    first_error.get_or_insert(error);
                    Verdict::Refused
                }
            });
        }
        state.note_effects(request, Some(&app_id), checked.effects);
        state.note_effects(request, Some(&app_id), effects);
        drop(state);

        let answer = match first_error {
            Some(error) if switches.bulk_failure != BulkFailure::Skip => refusal(error, switches),
            Some(_) | None => call.success(switches),
        };
        Outcome { answer, app_id: Some(app_id.into()), items: verdicts }
    }

    /// `POST /api/v1/identify` (heap-api §4).
    pub(crate) fn identify_call(
        &self,
        body: &[u8],
        request: u64,
        switches: &Arc<Switches>,
    ) -> Outcome {
        let Some(Json::Object(body)) = Json::parse(body) else {
            return Outcome::plain(refusal(not_an_object(), switches));
        };
        let named_app = body.get("app_id").and_then(Json::text).map(Into::into);
        let refused = |answer| Outcome { answer, app_id: named_app, items: vec![Verdict::Refused] };
        let mut effects = Effects::default();
        let checked = match items::identify(&body, switches, &mut effects) {
            Ok(checked) => checked,
            Err(error) => return refused(refusal(error, switches)),
        };
        let mut state = self.lock();
        let (app_id, admission) = match checked.app {
            AppId::Malformed(app_id) => (app_id, Admission::Discard),
            AppId::Digits(app_id) => {
                let admission = state.admission(&app_id);
                (app_id, admission)
            }
        };
        let verdict = match admission {
            Admission::Store => {
                state.identify(&app_id, checked.user_id, checked.identity, &mut effects)
            }
            Admission::Discard => {
                effects.add(EffectKind::AppDiscarded, &app_id);
                Verdict::Dropped
            }
            Admission::Reject => {
                let says = "should be equal to one of the allowed values";
                return refused(refusal(Place::Body.fault_at("app_id", says), switches));
            }
        };
        state.note_effects(request, Some(&app_id), effects);
        let answer = match switches.success {
            Success::Documented => Answer::json(200, "{}"),
            Success::NoContent => Answer::empty(204),
        };
        Outcome { answer, app_id: Some(app_id.into()), items: vec![verdict] }
    }
}

/// The objects in a body's list; the body itself in the single form.
fn items_of<'b, 'j>(body: &'b Members<'j>, form: &Form) -> Vec<&'b Members<'j>> {
    match body.get(form.list) {
        Some(Json::List(items)) => items
            .iter()
            .filter_map(|item| match item {
                Json::Object(members) => Some(members),
                Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::List(_) => {
                    None
                }
            })
            .collect(),
        Some(_) => Vec::new(),
        None => vec![body],
    }
}
