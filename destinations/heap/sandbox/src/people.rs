//! What one environment knows: its users, their migrations, its accounts and seen keys.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::Value;

use crate::clock::Millis;
use crate::ids::user_id_of;
use crate::items::Identifiers;
use crate::rates::Rates;
use crate::switches::{OnOff, Switches};

#[derive(Debug, Clone, Default)]
pub(crate) struct User {
    pub(crate) id: u64,
    /// The how-manieth user of the sandbox: gives lists their order.
    pub(crate) number: u64,
    pub(crate) identities: Vec<Box<str>>,
    pub(crate) anonymous_ids: Vec<Box<str>>,
    pub(crate) emails: Vec<Box<str>>,
    pub(crate) properties: BTreeMap<Box<str>, Value>,
    pub(crate) events: u64,
    pub(crate) first_seen: Millis,
    pub(crate) last_seen: Millis,
}

/// A user id that was given to a user with an identity.
#[derive(Debug, Clone)]
pub(crate) struct Migration {
    pub(crate) identity: Box<str>,
    pub(crate) to: u64,
}

/// What an identify call came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identified {
    Migrated,
    /// The same pair again, or the user itself.
    Already,
    SecondIdentity,
    IdentityFull,
}

/// The most user ids that an identity takes in 30 days (heap-api §4).
const MAX_IDS_PER_IDENTITY: usize = 10;
const MONTH: Millis = 30 * 24 * 3_600_000;

/// One environment.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    pub(crate) users: HashMap<u64, User>,
    pub(crate) migrations: BTreeMap<u64, Migration>,
    pub(crate) accounts: BTreeMap<Box<str>, BTreeMap<Box<str>, Value>>,
    pub(crate) rates: Rates,
    /// The migrations by the user that they lead to.
    moved: HashMap<u64, Vec<(u64, Millis)>>,
    keys: Keys,
    newest_user: u64,
}

impl Environment {
    /// The user that an id belongs to now.
    pub(crate) fn resolve(&self, id: u64) -> u64 {
        self.migrations.get(&id).map_or(id, |migration| migration.to)
    }

    /// The ids that were moved to a user, in order.
    pub(crate) fn moved_to(&self, id: u64) -> &[(u64, Millis)] {
        self.moved.get(&id).map_or(&[], Vec::as_slice)
    }

    /// The user with this id, made if there is none, with the identifiers noted.
    pub(crate) fn user(&mut self, id: u64, who: &Identifiers, now: Millis) -> &mut User {
        let id = self.resolve(id);
        let newest = &mut self.newest_user;
        let user = self.users.entry(id).or_insert_with(|| {
            *newest += 1;
            User { id, number: *newest, first_seen: now, ..User::default() }
        });
        user.last_seen = now;
        note(&mut user.identities, who.identity.as_deref());
        note(&mut user.anonymous_ids, who.anonymous_id.as_deref());
        note(&mut user.emails, who.email.as_deref());
        user
    }

    /// Moves what belongs to a user id to the user with this identity, within Heap's two limits.
    pub(crate) fn identify(
        &mut self,
        from: u64,
        identity: &str,
        now: Millis,
        switches: &Switches,
    ) -> Identified {
        let to = user_id_of(identity);
        let limited = switches.identify_limits == OnOff::On;
        if let Some(migration) = self.migrations.get(&from) {
            if *migration.identity == *identity {
                return Identified::Already;
            }
            if limited {
                return Identified::SecondIdentity;
            }
        }
        let who = Identifiers { identity: Some(identity.into()), ..Identifiers::default() };
        if from == to {
            self.user(to, &who, now);
            return Identified::Already;
        }
        let other_identity = self.users.get(&from).is_some_and(|user| !user.identities.is_empty());
        if limited && other_identity {
            return Identified::SecondIdentity;
        }
        let moved = self.moved.entry(to).or_default();
        let taken = moved.iter().filter(|(_, at)| now - at < MONTH).count();
        if limited && taken >= MAX_IDS_PER_IDENTITY {
            return Identified::IdentityFull;
        }
        moved.push((from, now));
        self.migrations.insert(from, Migration { identity: identity.into(), to });
        let moved = self.users.remove(&from);
        let user = self.user(to, &who, now);
        if let Some(moved) = moved {
            user.events += moved.events;
            user.first_seen = user.first_seen.min(moved.first_seen);
            moved.anonymous_ids.iter().for_each(|id| note(&mut user.anonymous_ids, Some(id)));
            moved.emails.iter().for_each(|email| note(&mut user.emails, Some(email)));
            for (key, value) in moved.properties {
                user.properties.entry(key).or_insert(value);
            }
        }
        Identified::Migrated
    }

    /// Whether the key is new; if so it is remembered.
    pub(crate) fn is_first(
        &mut self,
        key: u64,
        now: Millis,
        ttl: Option<Millis>,
        keep_keys: Option<usize>,
    ) -> bool {
        self.keys.is_first(key, now, ttl, keep_keys)
    }

    /// Removes a user, and the ids that were moved to it.
    pub(crate) fn forget(&mut self, id: u64) {
        for (from, _) in self.moved.remove(&id).unwrap_or_default() {
            self.migrations.remove(&from);
        }
        self.users.remove(&id);
    }
}

fn note(list: &mut Vec<Box<str>>, value: Option<&str>) {
    if let Some(value) = value
        && !list.iter().any(|known| **known == *value)
    {
        list.push(value.into());
    }
}

/// Idempotency keys seen, as hashes, with the time of the first.
#[derive(Debug, Default)]
struct Keys {
    seen: HashMap<u64, Millis>,
    order: VecDeque<u64>,
}

impl Keys {
    fn is_first(
        &mut self,
        key: u64,
        now: Millis,
        ttl: Option<Millis>,
        keep_keys: Option<usize>,
    ) -> bool {
        if let Some(at) = self.seen.get_mut(&key) {
            if ttl.is_none_or(|ttl| now - *at < ttl) {
                return false;
            }
            *at = now;
            return true;
        }
        self.seen.insert(key, now);
        if let Some(most) = keep_keys {
            self.order.push_back(key);
            if self.order.len() > most
                && let Some(oldest) = self.order.pop_front()
            {
                self.seen.remove(&oldest);
            }
        }
        true
    }
}
