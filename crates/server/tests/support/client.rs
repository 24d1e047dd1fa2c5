//! A plain client of the server: calls, and questions to the admin API.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use heapline_server::admin::AdminFile;
use serde_json::{Value, json};

use super::until;

/// The write key of every test's source `server`.
pub(crate) const KEY: &str = "wk_server";

#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    address: String,
    token: Arc<str>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }
}

impl Client {
    /// To the server at `address` on the data directory `data`.
    pub(crate) fn new(address: SocketAddr, data: &Path) -> Client {
        let file = AdminFile::read(data).unwrap().expect("a server writes admin.json");
        Client {
            http: plain_http(),
            address: format!("http://{address}"),
            token: file.token.reveal().into(),
        }
    }

    /// Posts to the door with the key of the source `server`.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_as(KEY, path, body).await
    }

    pub(crate) async fn post_as(&self, key: &str, path: &str, body: &Value) -> Answer {
        self.try_post(key, path, body).await.unwrap()
    }

    /// `None` if no answer came.
    pub(crate) async fn try_post(&self, key: &str, path: &str, body: &Value) -> Option<Answer> {
        let request = self.http.post(format!("{}{path}", self.address)).basic_auth(key, Some(""));
        let request = request.header("content-type", "application/json").body(body.to_string());
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        Some(Answer { status, text: response.text().await.ok()? })
    }

    /// Sends a track call and expects that it is taken.
    pub(crate) async fn track(&self, user: &str, event: &str, message_id: &str) {
        let body = json!({ "userId": user, "event": event, "messageId": message_id });
        self.accepted("/v1/track", &body).await;
    }

    pub(crate) async fn accepted(&self, path: &str, body: &Value) {
        let answer = self.post(path, body).await;
        assert_eq!(answer.status, 200, "{path} {body}: {}", answer.text);
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let request = self.http.get(format!("{}{path}", self.address)).bearer_auth(&self.token);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        Answer { status, text: response.text().await.unwrap() }
    }

    /// Asks the admin API.
    pub(crate) async fn ask(&self, path: &str) -> Value {
        let answer = self.get(&format!("/api/v1{path}")).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()
    }

    /// Posts to the admin API.
    pub(crate) async fn order(&self, path: &str) -> Answer {
        let request = self.http.post(format!("{}/api/v1{path}", self.address));
        let response = request.bearer_auth(&self.token).send().await.unwrap();
        let status = response.status().as_u16();
        Answer { status, text: response.text().await.unwrap() }
    }

    /// The event with a message id as the ledger shows it, once `good` holds for one of its
    /// deliveries.
    pub(crate) async fn event_with(
        &self,
        message_id: &str,
        good: impl Fn(&Value) -> bool,
    ) -> Value {
        let path = format!("/events?messageId={message_id}");
        until(&format!("the ledger's entry of {message_id}"), async || {
            let list = self.ask(&path).await;
            let event = list["events"].get(0)?.clone();
            event["deliveries"].as_array()?.iter().any(&good).then_some(event)
        })
        .await
    }

    /// The deliveries of an event once one of them has this outcome.
    pub(crate) async fn outcome(&self, message_id: &str, outcome: &str) -> Value {
        let event = self.event_with(message_id, |d| d["outcome"] == outcome).await;
        let found =
            event["deliveries"].as_array().unwrap().iter().find(|d| d["outcome"] == outcome);
        found.unwrap().clone()
    }

    /// The whole way of an event.
    pub(crate) async fn trace(&self, message_id: &str) -> Value {
        let list = self.ask(&format!("/events?messageId={message_id}")).await;
        let place = list["events"][0]["seq"].as_u64().unwrap();
        self.ask(&format!("/events/{place}")).await
    }
}

/// An HTTP client without any set-up of its own.
pub(crate) fn plain_http() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().no_proxy().build().unwrap()
}
