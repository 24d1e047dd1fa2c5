//! Who is signed in: one-time codes, and sessions that outlive the server.
//!
//! Only hashes are kept, in memory and in the store, so nobody who reads the data directory can
//! sign in by what lies there. Codes die with the server; a new start prints a new link.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use heapline_store::{Millis, Store};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::server::now;

/// Kind under which the store keeps them.
const KIND: &str = "session";

/// How long a session lasts without a visit.
const IDLE: Millis = 12 * 3_600_000;

/// A visit is written down if the last one that was is so long ago.
const WRITE_EVERY: Millis = 5 * 60_000;

/// Most sessions at one time; beyond, the longest idle one ends.
const MOST: usize = 1000;

/// By what somebody was let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Entry {
    /// The one-time link.
    Link,
    /// The hash of a token, which is asked again at each visit, so that a revoked one ends its
    /// sessions.
    Token(String),
}

#[derive(Clone, Serialize, Deserialize)]
struct Open {
    seen: Millis,
    entry: Entry,
    #[serde(skip)]
    written: Millis,
}

/// All sessions, and the codes that open one.
pub(super) struct Sessions {
    store: Arc<dyn Store>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    codes: Vec<String>,
    open: BTreeMap<String, Open>,
}

impl Sessions {
    /// The sessions that `store` keeps.
    pub(super) fn open(store: Arc<dyn Store>) -> Result<Sessions> {
        let kept = store.kept(KIND)?.into_iter();
        // What can't be read is of another version: its owner signs in anew.
        let open = kept.filter_map(|(id, text)| Some((id, serde_json::from_str(&text).ok()?)));
        let inner = Inner { codes: Vec::new(), open: open.collect() };
        let sessions = Sessions { store, inner: Mutex::new(inner) };
        sessions.make_room(&mut sessions.lock(), now());
        Ok(sessions)
    }

    /// A code that opens one session.
    pub(super) fn one_time_code(&self) -> Result<String> {
        let code = unguessable()?;
        self.lock().codes.push(hash(&code));
        Ok(code)
    }

    /// Begins a session by a code, which is used up. `None` if it isn't one, or was used.
    pub(super) fn redeem(&self, code: &str) -> Result<Option<String>> {
        let hash = hash(code);
        let known = {
            let mut inner = self.lock();
            let before = inner.codes.len();
            inner.codes.retain(|known| *known != hash);
            inner.codes.len() < before
        };
        if known { self.begin(Entry::Link).map(Some) } else { Ok(None) }
    }

    /// Begins a session for somebody who has shown who they are. Gives its id.
    pub(super) fn begin(&self, entry: Entry) -> Result<String> {
        let id = unguessable()?;
        let seen = now();
        let mut inner = self.lock();
        self.make_room(&mut inner, seen);
        let open = Open { seen, entry, written: seen };
        self.write(&hash(&id), Some(&open));
        inner.open.insert(hash(&id), open);
        Ok(id)
    }

    /// By what the session was begun, if it goes on; lets it go on.
    pub(super) fn visit(&self, id: &str) -> Option<Entry> {
        let (hash, seen) = (hash(id), now());
        let mut inner = self.lock();
        let open = inner.open.get_mut(&hash).filter(|open| seen - open.seen < IDLE)?;
        open.seen = seen;
        if seen - open.written >= WRITE_EVERY {
            open.written = seen;
            self.write(&hash, Some(open));
        }
        Some(open.entry.clone())
    }

    /// Ends a session.
    pub(super) fn close(&self, id: &str) {
        let hash = hash(id);
        if self.lock().open.remove(&hash).is_some() {
            self.write(&hash, None);
        }
    }

    /// Forgets the sessions that ended, and the longest idle one of too many.
    fn make_room(&self, inner: &mut Inner, now: Millis) {
        let ended = |open: &Open| now - open.seen >= IDLE;
        let mut gone: Vec<String> =
            inner.open.iter().filter(|(_, open)| ended(open)).map(|(id, _)| id.clone()).collect();
        if inner.open.len() - gone.len() >= MOST {
            let going = inner.open.iter().filter(|(_, open)| !ended(open));
            gone.extend(going.min_by_key(|(_, open)| open.seen).map(|(id, _)| id.clone()));
        }
        for id in gone {
            inner.open.remove(&id);
            self.write(&id, None);
        }
    }

    fn write(&self, hash: &str, open: Option<&Open>) {
        let text = open.map(|open| serde_json::to_string(open).expect("a session is plain data"));
        // A session that can't be kept ends with the server, and is good until then.
        self.store.keep(KIND, hash, text.as_deref()).ok();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unguessable() -> Result<String> {
    let mut bytes = [0_u8; 24];
    getrandom::fill(&mut bytes).context("the system gives no random numbers")?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use heapline_store::{Memory, Settings};

    fn sessions() -> (Arc<dyn Store>, Sessions) {
        let store: Arc<dyn Store> = Arc::new(Memory::new(Settings::default()));
        let sessions = Sessions::open(store.clone()).unwrap();
        (store, sessions)
    }

    #[test]
    fn a_code_opens_one_session_once() {
        let (_, sessions) = sessions();
        let code = sessions.one_time_code().unwrap();
        assert_eq!(sessions.redeem("something else").unwrap(), None);
        let id = sessions.redeem(&code).unwrap().unwrap();
        assert!(sessions.visit(&id).is_some());
        assert_eq!(sessions.redeem(&code).unwrap(), None);
        sessions.close(&id);
        assert!(sessions.visit(&id).is_none());
    }

    #[test]
    fn a_session_cannot_be_entered_by_a_code_or_a_guess() {
        let (_, sessions) = sessions();
        let code = sessions.one_time_code().unwrap();
        assert!([&code, "", "0"].iter().all(|guess| sessions.visit(guess).is_none()));
    }

    #[test]
    fn there_are_never_more_sessions_than_the_bound() {
        let (store, sessions) = sessions();
        let ids: Vec<String> = (0..=MOST).map(|_| sessions.begin(Entry::Link).unwrap()).collect();
        let open = ids.iter().filter(|id| sessions.visit(id).is_some()).count();
        assert_eq!((open, store.kept(KIND).unwrap().len()), (MOST, MOST));
        assert!(sessions.visit(&ids[MOST]).is_some());
    }

    #[test]
    fn a_session_outlives_the_server_and_its_id_is_kept_nowhere() {
        let (store, before) = sessions();
        let entry = Entry::Token("aa".into());
        let (left, went) =
            (before.begin(entry.clone()).unwrap(), before.begin(Entry::Link).unwrap());
        before.close(&went);
        let after = Sessions::open(store.clone()).unwrap();
        assert_eq!(after.visit(&left), Some(entry));
        assert_eq!(after.visit(&went), None);
        let kept = format!("{:?}", store.kept(KIND).unwrap());
        assert!(!kept.contains(&left), "{kept}");
    }

    #[test]
    fn a_session_ends_after_half_a_day_without_a_visit() {
        let (store, sessions) = sessions();
        let id = sessions.begin(Entry::Link).unwrap();
        sessions.lock().open.values_mut().for_each(|open| open.seen -= IDLE);
        assert_eq!(sessions.visit(&id), None);
        sessions.begin(Entry::Link).unwrap();
        assert_eq!(store.kept(KIND).unwrap().len(), 1);
    }
}
