//! User deletion: tokens, requests for deletion, and what is due.

use std::collections::BTreeMap;

use crate::clock::Millis;

#[derive(Debug)]
struct Token {
    app_id: String,
    issued: Millis,
}

#[derive(Debug)]
struct Request {
    app_id: String,
    account: String,
    users: Vec<u64>,
    due: Millis,
    done: bool,
}

/// Users of an account to be deleted now.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) account: String,
    pub(crate) users: Vec<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Deletions {
    tokens: BTreeMap<String, Token>,
    requests: BTreeMap<String, Request>,
    open: Vec<String>,
}

impl Deletions {
    pub(crate) fn issue(&mut self, token: String, app_id: &str, now: Millis) {
        self.tokens.insert(token, Token { app_id: app_id.to_owned(), issued: now });
    }

    /// The app id that a token was issued to, while it lives.
    pub(crate) fn app_of(&self, token: &str, now: Millis, life: Millis) -> Option<&str> {
        let token = self.tokens.get(token)?;
        (now - token.issued <= life).then_some(token.app_id.as_str())
    }

    pub(crate) fn request(
        &mut self,
        id: String,
        app_id: &str,
        account: String,
        users: Vec<u64>,
        due: Millis,
    ) {
        let request = Request { app_id: app_id.to_owned(), account, users, due, done: false };
        self.requests.insert(id.clone(), request);
        self.open.push(id);
    }

    /// Whether a request is complete; `None` if this app has none of that id.
    pub(crate) fn is_complete(&self, id: &str, app_id: &str) -> Option<bool> {
        self.requests.get(id).filter(|request| request.app_id == app_id).map(|request| request.done)
    }

    /// What is due, in the order that it was asked for; it counts as done.
    pub(crate) fn take_due(&mut self, now: Millis) -> Vec<Due> {
        let mut due = Vec::new();
        let requests = &mut self.requests;
        self.open.retain(|id| match requests.get_mut(id) {
            Some(request) if request.due <= now => {
                request.done = true;
                due.push(Due {
                    account: request.account.clone(),
                    users: std::mem::take(&mut request.users),
                });
                false
            }
            Some(_) => true,
            None => false,
        });
        due
    }
}
