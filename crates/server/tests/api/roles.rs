//! Every operation of the API's description, asked by each role: `roles.json` says who may do what.

use std::collections::BTreeMap;

use serde_json::json;

use crate::world::World;

const ROLES: [&str; 3] = ["viewer", "editor", "admin"];

/// Role by operation.
fn table() -> BTreeMap<String, String> {
    serde_json::from_str(include_str!("roles.json")).unwrap()
}

#[test]
fn the_table_has_every_operation_and_no_other() {
    let says = serde_json::to_value(heapline_server::admin::openapi()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in says["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{} {path}", method.to_uppercase());
            let role = table().get(&name).cloned().unwrap_or_default();
            let told = operation["description"].as_str().unwrap();
            assert!(told.ends_with(&format!("Takes a token of role `{role}`.")), "{name}: {told}");
            operations.push(name);
        }
    }
    operations.sort();
    assert_eq!(operations, table().into_keys().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_goes_as_far_as_the_table_says() {
    let mut world = World::start().await;
    let client = reqwest::Client::new();
    let mut tokens = BTreeMap::new();
    for role in ROLES {
        let made = world.post("/tokens", json!({ "name": role, "role": role })).await;
        tokens.insert(role, made["token"].as_str().unwrap().to_owned());
    }
    let revoked = world.post("/tokens", json!({ "name": "gone", "role": "admin" })).await;
    let url = format!("{}/api/v1/tokens/{}", world.url, revoked["id"].as_str().unwrap());
    let answer = client.delete(url).bearer_auth(&world.token).send().await.unwrap();
    assert_eq!(answer.status(), 200);

    for (operation, least) in table() {
        let (method, path) = operation.split_once(' ').unwrap();
        // Nothing has this id, and no body is given: whoever may come in hears of that.
        let path = path.replace('{', "").replace('}', "-none");
        let url = format!("{}/api/v1{path}", world.url);
        let ask = |token: Option<&str>| {
            let request = client.request(method.parse().unwrap(), &url);
            let request = match token {
                Some(token) => request.bearer_auth(token),
                None => request,
            };
            let operation = operation.clone();
            async move {
                let response = request.send().await.unwrap();
                let status = response.status().as_u16();
                let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
                assert!(status < 400 || kind == "application/problem+json", "{operation}: {kind}");
                assert!(status < 500, "{operation}: {status}");
                status
            }
        };
        let strangers = [None, Some(""), Some("hlt_none"), revoked["token"].as_str()];
        for token in strangers {
            assert_eq!(ask(token).await, 401, "{operation}");
        }
        let least = ROLES.iter().position(|role| *role == least).unwrap();
        for (rank, role) in ROLES.iter().enumerate() {
            let status = ask(Some(&tokens[role])).await;
            assert_eq!(status == 403, rank < least, "{operation} by {role}: {status}");
            assert_ne!(status, 401, "{operation} by {role}");
        }
    }
    world.stop().await;
}
