//! The live tail and the wait for a first event.

use serde_json::{Value, json};

use crate::world::World;

struct Listener {
    response: reqwest::Response,
    waiting: String,
}

impl Listener {
    async fn at(world: &World, path: &str) -> Listener {
        let url = format!("{}/api/v1{path}", world.url);
        let request = reqwest::Client::new().get(url).bearer_auth(&world.token);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Listener { response, waiting: String::new() }
    }

    async fn hear(&mut self) -> Option<Value> {
        loop {
            if let Some((line, rest)) = self.waiting.clone().split_once('\n') {
                self.waiting = rest.to_owned();
                if let Some(data) = line.strip_prefix("data:") {
                    return Some(serde_json::from_str(data).unwrap());
                }
                continue;
            }
            let chunk = self.response.chunk().await.unwrap()?;
            self.waiting.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_accepted_and_what_settles_is_told_to_those_who_ask_for_it() {
    let mut world = World::start().await;
    let source = world.post("/sources", json!({ "id": "app" })).await;
    let key = source["writeKey"].as_str().unwrap().to_owned();
    let heap = json!({ "id": "heap", "destination": "heap", "sources": ["app"],
        "settings": { "appId": "11", "baseUrl": world.sandbox_url } });
    world.post("/integrations", heap).await;

    let mut first = Listener::at(&world, "/sources/app/first-event").await;
    let mut all = Listener::at(&world, "/tail").await;
    let mut bobs = Listener::at(&world, "/tail?kind=accepted&userId=bob").await;
    let mut delivered = Listener::at(&world, "/tail?outcome=delivered&integration=heap").await;
    for user in ["ada", "bob"] {
        world.track(&key, json!({ "userId": user, "event": "Paid" })).await;
    }
    assert_eq!(first.hear().await.unwrap()["userId"], "ada");
    assert_eq!(first.hear().await, None);
    assert_eq!(bobs.hear().await.unwrap()["userId"], "bob");
    let heard = [delivered.hear().await.unwrap(), delivered.hear().await.unwrap()];
    for item in &heard {
        assert_eq!(item["kind"], "settled");
        assert_eq!(item["deliveries"][0]["outcome"], "delivered");
    }
    let mut kinds = Vec::new();
    for _ in 0..4 {
        kinds.push(all.hear().await.unwrap()["kind"].as_str().unwrap().to_owned());
    }
    kinds.sort();
    assert_eq!(kinds, ["accepted", "accepted", "settled", "settled"]);

    // A source that has events tells its latest at once.
    let mut again = Listener::at(&world, "/sources/app/first-event").await;
    assert_eq!(again.hear().await.unwrap()["userId"], "bob");
    // Streams end with the server.
    world.stop().await;
    assert_eq!(all.hear().await, None);
}
