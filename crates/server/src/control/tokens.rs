//! Tokens of the admin API: made once, shown once, kept as hashes.
//!
//! A token is 32 random bytes, so a plain SHA-256 can't be guessed back, and checking one is cheap.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use heapline_action::datetime;
use heapline_store::{Millis, Store};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::{Actor, Control, Problem, Role};
use crate::server::now;
use crate::workspace::Secret;

/// Kind under which the store keeps them.
const KIND: &str = "token";

/// What tokens begin with, so that scanners of leaked secrets know them.
const PREFIX: &str = "hlt_";

/// A use is written down if the last one that was is so long ago.
const USE_EVERY: Millis = 60_000;

/// Who may come in.
pub struct Tokens {
    store: Arc<dyn Store>,
    /// The one of `admin.json`.
    built_in: Secret,
    /// By the hash of the token.
    known: Mutex<BTreeMap<String, Kept>>,
}

/// What is kept of a token, under its hash.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    id: String,
    name: String,
    role: Role,
    by: String,
    created: Millis,
    used: Option<Millis>,
    revoked: Option<Millis>,
}

/// A token without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenInfo {
    /// Names it in addresses.
    pub id: String,
    /// For people, and in the log.
    pub name: String,
    /// How far it goes.
    pub role: Role,
    /// Who made it.
    pub created_by: String,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// When it was last used, to the minute.
    pub last_used_at: Option<String>,
    /// When it was revoked.
    pub revoked_at: Option<String>,
}

/// A token that was just made.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct FreshToken {
    /// The secret: shown this once.
    pub token: String,
    /// All else.
    #[serde(flatten)]
    pub info: TokenInfo,
}

impl Tokens {
    /// The tokens of `store`, and `built_in`, which is of the role admin.
    pub fn open(store: Arc<dyn Store>, built_in: Secret) -> Result<Tokens, Problem> {
        let mut known = BTreeMap::new();
        for (hash, text) in store.kept(KIND)? {
            let kept = serde_json::from_str(&text)
                .map_err(|e| Problem::Broken(format!("a kept token can't be read: {e}")))?;
            known.insert(hash, kept);
        }
        Ok(Tokens { store, built_in, known: Mutex::new(known) })
    }

    /// Who comes with `token`; `None` if nobody.
    pub fn actor(&self, token: &str) -> Option<Actor> {
        self.actor_by_hash(&hash(token))
    }

    /// Who comes with the token of this hash; `None` if nobody.
    pub fn actor_by_hash(&self, hash: &str) -> Option<Actor> {
        // Hashes are compared, so that the time of the comparison tells nothing.
        if hash == self::hash(self.built_in.reveal()) {
            return Some(Actor::new("admin", Role::Admin));
        }
        let mut known = self.lock();
        let kept = known.get_mut(hash).filter(|kept| kept.revoked.is_none())?;
        let at = now();
        if kept.used.is_none_or(|used| at.saturating_sub(used) >= USE_EVERY) {
            kept.used = Some(at);
            // Worth less than the request that is being made.
            self.write(hash, kept).ok();
        }
        Some(Actor::new(kept.name.clone(), kept.role))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, hash: &str, kept: &Kept) -> Result<(), Problem> {
        let text = serde_json::to_string(kept).expect("a token is plain data");
        Ok(self.store.keep(KIND, hash, Some(&text))?)
    }
}

impl Control {
    /// All tokens, the latest first, revoked ones too.
    pub fn tokens(&self, who: &Actor) -> Result<Vec<TokenInfo>, Problem> {
        who.must_be(Role::Admin)?;
        let mut all: Vec<Kept> = self.tokens.lock().values().cloned().collect();
        all.sort_by_key(|kept| std::cmp::Reverse((kept.created, kept.id.clone())));
        Ok(all.iter().map(info).collect())
    }

    /// Makes a token.
    pub fn create_token(&self, who: &Actor, name: &str, role: Role) -> Result<FreshToken, Problem> {
        who.must_be(Role::Admin)?;
        let name = name.trim();
        if name.is_empty() || name.chars().count() > 100 {
            return Err(Problem::Bad("name: expected a text of 1 to 100 characters".into()));
        }
        let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random::<32>()?));
        let kept = Kept {
            id: hex(&random::<4>()?),
            name: name.to_owned(),
            role,
            by: who.name.clone(),
            created: now(),
            used: None,
            revoked: None,
        };
        let hash = hash(&token);
        self.tokens.write(&hash, &kept)?;
        let what = format!("made the token {} {name:?} of role {}", kept.id, role.word());
        self.log(who, what)?;
        let fresh = FreshToken { token, info: info(&kept) };
        self.tokens.lock().insert(hash, kept);
        Ok(fresh)
    }

    /// Revokes a token, at once and for good.
    pub fn revoke_token(&self, who: &Actor, id: &str) -> Result<TokenInfo, Problem> {
        who.must_be(Role::Admin)?;
        let mut known = self.tokens.lock();
        let (hash, kept) = known
            .iter_mut()
            .find(|(_, kept)| kept.id == id)
            .ok_or_else(|| Problem::Missing(format!("no token has the id {id:?}")))?;
        if kept.revoked.is_none() {
            let revoked = Kept { revoked: Some(now()), ..kept.clone() };
            self.tokens.write(hash, &revoked)?;
            *kept = revoked;
            self.log(who, format!("revoked the token {id} {:?}", kept.name))?;
        }
        Ok(info(kept))
    }
}

fn info(kept: &Kept) -> TokenInfo {
    TokenInfo {
        id: kept.id.clone(),
        name: kept.name.clone(),
        role: kept.role,
        created_by: kept.by.clone(),
        created_at: datetime::print(kept.created),
        last_used_at: kept.used.map(datetime::print),
        revoked_at: kept.revoked.map(datetime::print),
    }
}

/// The hash by which a token is known.
pub fn hash(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that nobody can guess.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|e| Problem::Broken(format!("the system gives no random numbers: {e}")))?;
    Ok(bytes)
}
