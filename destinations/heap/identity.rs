//! Who an event belongs to at Heap, or why it can't be said.

use heapline_action::plan::Refusal;
use heapline_action::value::Object;

use super::config::{Anonymous, Api, Config};
use crate::fields::text;
use crate::notices::{Notices, quoted};
use crate::text::{identifier, longer_than, units};

/// Most UTF-16 code units of an identity (developers.heap.io, *Track*).
const MAX_IDENTITY: usize = 255;

/// Most that a Heap user id can be (developers.heap.io, *Track*): 2^53 − 1.
const MAX_USER_ID: u64 = (1 << 53) - 1;

/// The identifiers that an event brings, trimmed, blank ones and `"0"` left out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Given<'p> {
    /// Name of the field with the user id.
    pub(super) field: &'static str,
    /// Text of the identity as it came, for messages.
    pub(super) raw_identity: Option<&'p str>,
    pub(super) identity: Option<&'p str>,
    pub(super) anonymous_id: Option<&'p str>,
    /// Heap's own number of the user; partner form only.
    pub(super) user_id: Option<&'p str>,
    /// Partner form only.
    pub(super) email: Option<&'p str>,
}

/// The identifiers to send: at least one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Who<'p> {
    pub(super) identity: Option<&'p str>,
    pub(super) anonymous_id: Option<&'p str>,
    pub(super) user_id: Option<&'p str>,
    pub(super) email: Option<&'p str>,
}

impl<'p> Who<'p> {
    /// What Heap tells this user from others by.
    pub(super) fn user(&self) -> &'p str {
        let ids = [self.identity, self.user_id, self.email, self.anonymous_id];
        ids.into_iter().flatten().next().unwrap_or_default()
    }
}

/// What is known of the user.
#[derive(Clone, Debug)]
pub(super) enum Found<'p> {
    Known(Who<'p>),
    /// The event waits until this anonymous id is linked to a user id.
    Waits(&'p str),
    Refused(Refusal),
}

impl<'p> Given<'p> {
    /// Reads the identifiers of `payload`; `field` is the name of the field with the user id.
    pub(super) fn read(payload: &'p Object<'p>, field: &'static str) -> Given<'p> {
        let raw_identity = text(payload, field);
        Given {
            field,
            raw_identity,
            identity: identifier(raw_identity),
            anonymous_id: identifier(text(payload, "anonymous_id")),
            user_id: None,
            email: None,
        }
    }

    /// Adds the partner form's further identifiers. A bad e-mail is left out; a Heap user id is
    /// sent whatever it is, as the reference does.
    pub(super) fn with_partner_ids(
        self,
        user_id: Option<&'p str>,
        email: Option<&'p str>,
        notices: &mut Notices,
    ) -> Given<'p> {
        let user_id = identifier(user_id);
        if let Some(id) = user_id.filter(|id| !is_user_id(id)) {
            notices.list("bad_user_id", "Heap's user ids are whole numbers up to 2^53 - 1", id);
        }
        let email = identifier(email).filter(|email| {
            let good = is_email(email);
            if !good {
                notices.list("bad_email", "No e-mail address, so it was left out", email);
            }
            good
        });
        Given { user_id, email, ..self }
    }

    /// Decides by the settings. `linked` is the user id that a held event's anonymous id was linked
    /// to.
    pub(super) fn decide(
        self,
        config: &Config,
        linked: Option<&'p str>,
        notices: &mut Notices,
    ) -> Found<'p> {
        let who = Who {
            identity: self.identity.or_else(|| identifier(linked)),
            anonymous_id: self.anonymous_id,
            user_id: self.user_id,
            email: self.email,
        };
        if who.identity.is_some() {
            return checked(who, config, notices);
        }
        if who.user_id.is_some() || who.email.is_some() {
            return Found::Known(who);
        }
        let Some(anonymous_id) = who.anonymous_id else { return Found::Refused(self.nobody()) };
        match config.anonymous {
            Anonymous::Reject => Found::Refused(self.anonymous()),
            Anonymous::AsIdentity => {
                checked(Who { identity: Some(anonymous_id), ..who }, config, notices)
            }
            Anonymous::Hold => Found::Waits(anonymous_id),
            Anonymous::Send => match config.api {
                Api::Partner => Found::Known(who),
                Api::Public => Found::Refused(self.anonymous()),
            },
        }
    }

    fn nobody(&self) -> Refusal {
        let sentence = match self.raw_identity {
            Some(raw) if !raw.is_empty() => format!(
                "The identity {} names nobody and there is no anonymous id; expected a user id.",
                quoted(raw)
            ),
            _ => "The event has neither a user id nor an anonymous id; Heap needs one.".to_owned(),
        };
        Refusal { code: "no_identity", sentence }
    }

    fn anonymous(&self) -> Refusal {
        let sentence = format!(
            "Heap's API rejects server-side events without a user id, and this one has only an \
             anonymous id; map `{}` to a user id, or change the setting `anonymous`.",
            self.field
        );
        Refusal { code: "anonymous", sentence }
    }
}

fn checked<'p>(who: Who<'p>, config: &Config, notices: &mut Notices) -> Found<'p> {
    let identity = who.identity.unwrap_or_default();
    if longer_than(identity, MAX_IDENTITY) {
        let sentence = format!(
            "The identity {} has {} characters; Heap takes at most {MAX_IDENTITY}.",
            quoted(identity),
            units(identity)
        );
        return Found::Refused(Refusal { code: "identity_too_long", sentence });
    }
    if config.refused_identities.iter().any(|refused| refused == identity) {
        let sentence = format!(
            "The identity {} names nobody in particular (setting `refusedIdentities`); Heap would \
             merge all who share it for good.",
            quoted(identity)
        );
        return Found::Refused(Refusal { code: "identity_refused", sentence });
    }
    if ["guest", "user", "anonymous"].contains(&identity) {
        notices.list(
            "identity_shared",
            "Heap merges all users with this identity into one for good",
            identity,
        );
    }
    Found::Known(who)
}

fn is_user_id(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse().is_ok_and(|n: u64| n <= MAX_USER_ID)
}

/// A local part, an `@`, and a domain of at least two labels; no blanks.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let labels = || domain.split('.');
    !local.is_empty()
        && !local.contains('@')
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
        && labels().count() >= 2
        && labels().all(|label| {
            !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heap_user_ids_are_whole_numbers_below_two_to_the_53() {
        for id in ["1", "123", "9007199254740991"] {
            assert!(is_user_id(id), "{id}");
        }
        for id in ["9007199254740992", "-1", "1.5", "1e3", "abc", "99999999999999999999"] {
            assert!(!is_user_id(id), "{id}");
        }
    }

    #[test]
    fn addresses_need_a_local_part_and_a_domain() {
        for email in ["a@b.co", "m1+x@example.com", "ü@bücher.example"] {
            assert!(is_email(email), "{email}");
        }
        for email in ["a", "@b.co", "a@", "a@b", "a b@c.de", "a@b@c.de", "a@.de", "a@b..c"] {
            assert!(!is_email(email), "{email}");
        }
    }
}
