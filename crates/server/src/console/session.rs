//! Who is signed in: one-time codes, and sessions held in memory.
//!
//! A session ends with the server; a new start prints a new link.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::workspace::Secret;

/// How long a session lasts without a visit.
const IDLE: Duration = Duration::from_secs(12 * 3600);

/// Most sessions at one time; beyond, the longest idle one ends.
const MOST: usize = 1000;

type Hash = [u8; 32];

/// By what somebody was let in.
#[derive(Clone)]
pub(super) enum Entry {
    /// The one-time link.
    Link,
    /// A token, which is asked again at each visit, so that a revoked one ends its sessions.
    Token(Secret),
}

struct Open {
    seen: Instant,
    entry: Entry,
}

/// All sessions, and the codes that open one.
#[derive(Default)]
pub(super) struct Sessions(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// Only hashes are kept, so that no comparison tells by its time.
    codes: Vec<Hash>,
    open: BTreeMap<Hash, Open>,
}

impl Sessions {
    /// A code that opens one session.
    pub(super) fn one_time_code(&self) -> Result<String> {
        let code = unguessable()?;
        self.lock().codes.push(hash(&code));
        Ok(code)
    }

    /// Opens a session by a code, which is used up. `None` if it isn't one, or was used.
    pub(super) fn redeem(&self, code: &str) -> Result<Option<String>> {
        let hash = hash(code);
        let known = {
            let mut inner = self.lock();
            let before = inner.codes.len();
            inner.codes.retain(|known| *known != hash);
            inner.codes.len() < before
        };
        if known { self.open(Entry::Link).map(Some) } else { Ok(None) }
    }

    /// Opens a session for somebody who has shown who they are.
    pub(super) fn open(&self, entry: Entry) -> Result<String> {
        let id = unguessable()?;
        let mut inner = self.lock();
        inner.open.retain(|_, open| open.seen.elapsed() < IDLE);
        if inner.open.len() >= MOST {
            let oldest = inner.open.iter().min_by_key(|(_, open)| open.seen).map(|(id, _)| *id);
            oldest.map(|oldest| inner.open.remove(&oldest));
        }
        inner.open.insert(hash(&id), Open { seen: Instant::now(), entry });
        Ok(id)
    }

    /// By what the session was opened, if it is open; keeps it open.
    pub(super) fn visit(&self, id: &str) -> Option<Entry> {
        let mut inner = self.lock();
        let open = inner.open.get_mut(&hash(id)).filter(|open| open.seen.elapsed() < IDLE)?;
        open.seen = Instant::now();
        Some(open.entry.clone())
    }

    /// Ends a session.
    pub(super) fn close(&self, id: &str) {
        self.lock().open.remove(&hash(id));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(text: &str) -> Hash {
    Sha256::digest(text.as_bytes()).into()
}

fn unguessable() -> Result<String> {
    let mut bytes = [0_u8; 24];
    getrandom::fill(&mut bytes).context("the system gives no random numbers")?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_opens_one_session_once() {
        let sessions = Sessions::default();
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
        let sessions = Sessions::default();
        let code = sessions.one_time_code().unwrap();
        assert!([&code, "", "0"].iter().all(|guess| sessions.visit(guess).is_none()));
    }

    #[test]
    fn there_are_never_more_sessions_than_the_bound() {
        let sessions = Sessions::default();
        let ids: Vec<String> = (0..=MOST).map(|_| sessions.open(Entry::Link).unwrap()).collect();
        let open = ids.iter().filter(|id| sessions.visit(id).is_some()).count();
        assert_eq!(open, MOST);
        assert!(sessions.visit(&ids[MOST]).is_some());
    }
}
