//! All that the sandbox knows, behind one lock; and what a request's items do to it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::App;
use crate::Options;
use crate::clock::{Clock, Millis};
use crate::deletion::Deletions;
use crate::effects::{Effect, EffectKind, Effects};
use crate::faults::Faults;
use crate::ids::Numbers;
use crate::items::{Identifiers, Item, NewAccount, NewEvent, NewUser};
use crate::log::{Log, Verdict};
use crate::people::{Environment, Identified};
use crate::ring::Ring;
use crate::switches::{Accounts, Idempotency, OnOff, Profile, Switches, UnknownApp};
use crate::web::WebCall;

/// An event as Heap would keep it.
#[derive(Debug)]
pub(crate) struct StoredEvent {
    pub(crate) number: u64,
    pub(crate) app_id: Arc<str>,
    pub(crate) id: u64,
    /// The user at arrival; a migration may have moved it since.
    pub(crate) user: u64,
    pub(crate) who: Identifiers,
    pub(crate) event: Box<str>,
    pub(crate) properties: Box<str>,
    pub(crate) time: Option<Millis>,
    pub(crate) arrived: Millis,
    pub(crate) session_id: Option<Box<str>>,
    pub(crate) key: Option<Box<str>>,
    pub(crate) request: u64,
    pub(crate) item: u32,
}

/// An effect with where it came about.
#[derive(Debug)]
pub(crate) struct StoredEffect {
    pub(crate) request: u64,
    pub(crate) at: Millis,
    pub(crate) app_id: Option<Box<str>>,
    pub(crate) effect: Effect,
}

pub(crate) struct State {
    pub(crate) options: Options,
    pub(crate) clock: Clock,
    pub(crate) profile: Profile,
    pub(crate) switches: Arc<Switches>,
    pub(crate) apps: Vec<App>,
    pub(crate) faults: Faults,
    pub(crate) log: Log,
    pub(crate) environments: HashMap<Arc<str>, Environment>,
    pub(crate) events: Ring<StoredEvent>,
    pub(crate) effects: Ring<StoredEffect>,
    pub(crate) effect_counts: BTreeMap<EffectKind, u64>,
    pub(crate) duplicates: u64,
    pub(crate) deletions: Deletions,
    pub(crate) web_calls: Ring<WebCall>,
    pub(crate) numbers: Numbers,
}

/// Whether an environment may be written to.
pub(crate) enum Admission {
    Store,
    Discard,
    Reject,
}

impl State {
    pub(crate) fn new(options: Options) -> State {
        let profile = Profile::Documented;
        State {
            clock: Clock::new(options.time.clone()),
            profile,
            switches: Arc::new(Switches::of(profile, !options.apps.is_empty())),
            apps: options.apps.clone(),
            faults: Faults::default(),
            log: Log::new(options.keep_requests, options.keep_body_bytes),
            environments: HashMap::new(),
            events: Ring::new(options.keep_events),
            effects: Ring::new(options.keep_effects),
            effect_counts: BTreeMap::new(),
            duplicates: 0,
            deletions: Deletions::default(),
            web_calls: Ring::new(options.keep_web_calls),
            numbers: Numbers::new(options.seed),
            options,
        }
    }

    /// Back to the beginning: no records, no faults, profile `documented`, the source's time.
    pub(crate) fn reset(&mut self) {
        *self = State::new(self.options.clone());
    }

    pub(crate) fn set_profile(&mut self, profile: Profile) {
        self.profile = profile;
        self.switches = Arc::new(Switches::of(profile, !self.apps.is_empty()));
    }

    pub(crate) fn rates_are_on(&self) -> bool {
        self.switches.rates == OnOff::On
    }

    pub(crate) fn environment(&mut self, app_id: &str) -> (Arc<str>, &mut Environment) {
        let app_id = match self.environments.get_key_value(app_id) {
            Some((known, _)) => known.clone(),
            None => Arc::from(app_id),
        };
        (app_id.clone(), self.environments.entry(app_id).or_default())
    }

    /// Without a list of apps each is known.
    pub(crate) fn admission(&self, app_id: &str) -> Admission {
        if self.apps.is_empty() || self.apps.iter().any(|app| app.id == app_id) {
            return Admission::Store;
        }
        match self.switches.unknown_app_id {
            UnknownApp::Accept => Admission::Store,
            UnknownApp::Discard => Admission::Discard,
            UnknownApp::Reject => Admission::Reject,
        }
    }

    pub(crate) fn accounts_configured(&self) -> bool {
        self.switches.accounts == Accounts::Configured
    }

    pub(crate) fn apply(
        &mut self,
        app_id: &str,
        item: Item,
        request: u64,
        index: usize,
        effects: &mut Effects,
    ) -> Verdict {
        match item {
            Item::Event(event) => self.apply_event(app_id, event, request, index, effects),
            Item::User(user) => self.apply_user(app_id, user),
            Item::Account(account) => self.apply_account(app_id, account),
        }
    }

    fn apply_event(
        &mut self,
        app_id: &str,
        new: NewEvent,
        request: u64,
        index: usize,
        effects: &mut Effects,
    ) -> Verdict {
        let now = self.clock.now();
        let keep_keys = self.options.keep_keys;
        let first_wins = self.switches.idempotency == Idempotency::FirstWins;
        let ttl = self.switches.idempotency_ttl.get().map(|s| (s as Millis).saturating_mul(1000));
        let random = self.numbers.next();
        let number = self.events.total();
        let (app_id, environment) = self.environment(app_id);

        if let (true, Some(key)) = (first_wins, new.key_hash)
            && !environment.is_first(key, now, ttl, keep_keys)
        {
            self.duplicates += 1;
            effects.at_item(index);
            effects.add(EffectKind::DuplicateKey, new.key.as_deref().unwrap_or_default());
            return Verdict::Duplicate;
        }
        let user = environment.user(new.user, &new.who, now);
        user.events += 1;
        let user = user.id;
        self.events.push(StoredEvent {
            number,
            app_id,
            id: new.key_hash.unwrap_or(random) & crate::ids::MAX_USER_ID,
            user,
            who: new.who,
            event: new.event,
            properties: new.properties.into_json(),
            time: new.time,
            arrived: now,
            session_id: new.session_id,
            key: new.key,
            request,
            item: u32::try_from(index).unwrap_or(u32::MAX),
        });
        Verdict::Stored
    }

    fn apply_user(&mut self, app_id: &str, new: NewUser) -> Verdict {
        let now = self.clock.now();
        let (_, environment) = self.environment(app_id);
        environment.user(new.user, &new.who, now).properties.extend(new.properties);
        Verdict::Stored
    }

    fn apply_account(&mut self, app_id: &str, new: NewAccount) -> Verdict {
        let (_, environment) = self.environment(app_id);
        environment.accounts.entry(new.account_id).or_default().extend(new.properties);
        Verdict::Stored
    }

    pub(crate) fn identify(
        &mut self,
        app_id: &str,
        user_id: u64,
        identity: &str,
        effects: &mut Effects,
    ) -> Verdict {
        let now = self.clock.now();
        let switches = self.switches.clone();
        let (_, environment) = self.environment(app_id);
        match environment.identify(user_id, identity, now, &switches) {
            Identified::Migrated | Identified::Already => Verdict::Stored,
            Identified::SecondIdentity => {
                effects.add(EffectKind::SecondIdentity, identity);
                Verdict::Dropped
            }
            Identified::IdentityFull => {
                effects.add(EffectKind::IdentityFull, &user_id.to_string());
                Verdict::Dropped
            }
        }
    }

    pub(crate) fn note_effects(&mut self, request: u64, app_id: Option<&str>, effects: Effects) {
        let at = self.clock.now();
        for effect in effects.into_vec() {
            *self.effect_counts.entry(effect.kind).or_default() += 1;
            let app_id = app_id.map(Into::into);
            self.effects.push(StoredEffect { request, at, app_id, effect });
        }
    }

    /// Carries out the deletions that are due.
    pub(crate) fn settle(&mut self) {
        let now = self.clock.now();
        for due in self.deletions.take_due(now) {
            let of_account: Vec<Arc<str>> = self
                .environments
                .keys()
                .filter(|app_id| account_of(&self.apps, app_id) == due.account)
                .cloned()
                .collect();
            for app_id in of_account {
                self.delete_users(&app_id, &due.users);
            }
        }
    }

    fn delete_users(&mut self, app_id: &Arc<str>, users: &[u64]) {
        let Some(environment) = self.environments.get_mut(app_id) else { return };
        let users: std::collections::HashSet<u64> =
            users.iter().map(|id| environment.resolve(*id)).collect();
        self.events.retain(|event| {
            event.app_id != *app_id || !users.contains(&environment.resolve(event.user))
        });
        for user in users {
            environment.forget(user);
        }
    }

    pub(crate) fn account_of(&self, app_id: &str) -> String {
        account_of(&self.apps, app_id).to_owned()
    }
}

/// The account that an environment belongs to: by the list of apps, else its own.
fn account_of<'a>(apps: &'a [App], app_id: &'a str) -> &'a str {
    apps.iter()
        .find(|app| app.id == app_id)
        .and_then(|app| app.account.as_deref())
        .unwrap_or(app_id)
}
