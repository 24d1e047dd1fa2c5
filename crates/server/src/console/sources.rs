//! Sources: add one, set its client up, watch what comes in, change it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::clients::{Client, clients};
use super::data_in::{DataIn, data_in};
use super::events::latest;
use super::fields::{Fields, given};
use super::oops::{Oops, sentence};
use super::rates::rates;
use super::shell::{Locked, Section, Shell, Visit, go, page as shown};
use super::{Console, work};
use crate::admin::EventParams;
use crate::control::{NewSource, Problem, SourceChange, SourceView};

/// What sends, as the form offers it: kind, name, what it is for.
const KINDS: [(&str, &str, &str); 11] = [
    ("javascript", "JavaScript", "A website, with the browser client or the snippet"),
    ("node", "Node.js", "A server, with a Segment or Customer.io library"),
    ("python", "Python", "A server, with a Segment or Customer.io library"),
    ("go", "Go", "A server, with the Customer.io library"),
    ("http", "HTTP API", "Anything that can send JSON"),
    ("ios", "iOS", "An app"),
    ("android", "Android", "An app"),
    ("reactnative", "React Native", "An app"),
    ("expo", "Expo", "An app"),
    ("flutter", "Flutter", "An app"),
    ("file", "File", "Events that were collected elsewhere"),
];

#[derive(Template)]
#[template(path = "sources.html")]
struct List {
    shell: Shell,
    sources: Vec<Item>,
}

struct Item {
    id: String,
    name: String,
    kind: &'static str,
    enabled: bool,
    integrations: usize,
    /// Events a minute.
    rate: u64,
    last: Option<String>,
}

#[derive(Template)]
#[template(path = "source-new.html")]
struct New {
    shell: Shell,
    kinds: &'static [(&'static str, &'static str, &'static str)],
    name: String,
    kind: String,
    fault: Option<String>,
}

#[derive(Template)]
#[template(path = "source.html")]
struct Page {
    shell: Shell,
    source: SourceView,
    kind: &'static str,
    revision: u64,
    clients: Vec<Client>,
    /// Where the clients are told to send.
    origin: String,
    data_in: DataIn,
}

pub(super) async fn list(
    State(console): State<Arc<Console>>,
    visit: Visit,
) -> Result<Response, Oops> {
    let shell = visit.shell(&console, Section::Sources, "Sources");
    let sources = work(move || {
        let rates = rates(&console)?;
        let item = |source: SourceView| {
            let source_only =
                EventParams { source: Some(source.id.clone()), ..EventParams::default() };
            let last = latest(&console, source_only)?;
            Ok(Item {
                rate: rates.accepted(&source.id),
                kind: kind_name(&source.kind),
                integrations: source.integrations.len(),
                last: last.map(|event| event.received_at),
                id: source.id,
                name: source.name,
                enabled: source.enabled,
            })
        };
        console.control.sources(&visit.who).into_iter().map(item).collect::<Result<_, Problem>>()
    });
    Ok(shown(&List { shell, sources: sources.await? }))
}

pub(super) async fn new_page(State(console): State<Arc<Console>>, visit: Visit) -> Response {
    let shell = visit.shell(&console, Section::Sources, "Add a source");
    shown(&New {
        shell,
        kinds: &KINDS,
        name: String::new(),
        kind: "javascript".into(),
        fault: None,
    })
}

pub(super) async fn create(
    State(console): State<Arc<Console>>,
    visit: Visit,
    fields: Fields,
) -> Result<Response, Oops> {
    let shell = visit.shell(&console, Section::Sources, "Add a source");
    let (name, kind) = (fields.text("name").to_owned(), fields.text("kind").to_owned());
    let given = name.clone();
    let chosen = kind.clone();
    let made = work(move || {
        if given.is_empty() {
            return Ok(Err(Problem::Bad("the source needs a name".into())));
        }
        let taken: Vec<String> =
            console.control.sources(&visit.who).into_iter().map(|s| s.id).collect();
        let new = NewSource {
            id: free_id(&given, &taken),
            name: Some(given),
            kind: Some(chosen),
            answers: None,
        };
        Ok(console.control.create_source(&visit.who, None, new))
    });
    match made.await? {
        Ok(fresh) => Ok(go(format!("/sources/{}?done=source-added", fresh.id))),
        Err(problem) => {
            let fault = Some(sentence(&problem.to_string()));
            let page = shown(&New { shell, kinds: &KINDS, name, kind, fault });
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}

pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Result<Response, Oops> {
    let page = work(move || {
        let source = console.control.source(&visit.who, &id)?;
        let key = source.keys.first().and_then(|key| key.key.clone());
        let clients = clients(
            &source.id,
            &source.kind,
            visit.origin(),
            key.as_deref().unwrap_or("YOUR_WRITE_KEY"),
        );
        Ok(Page {
            shell: visit.shell(&console, Section::Sources, source.name.clone()),
            kind: kind_name(&source.kind),
            revision: console.control.workspaces.current().revision,
            data_in: data_in(&console, &source)?,
            clients,
            origin: visit.origin().to_owned(),
            source,
        })
    });
    Ok(shown(&page.await?))
}

pub(super) async fn save(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response, Oops> {
    let back = format!("/sources/{id}?done=source-saved");
    work(move || {
        let change = SourceChange {
            name: given(fields.text("name")),
            enabled: Some(fields.has("enabled")),
            answers: given(fields.text("answers")),
            kind: None,
        };
        console.control.update_source(&visit.who, fields.revision(), &id, change)
    })
    .await?;
    Ok(go(back))
}

pub(super) async fn add_key(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Result<Response, Oops> {
    let back = format!("/sources/{id}?done=key-added");
    work(move || console.control.rotate_key(&visit.who, None, &id)).await?;
    Ok(go(back))
}

pub(super) async fn delete_key(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path((id, key)): Path<(String, String)>,
) -> Result<Response, Oops> {
    let back = format!("/sources/{id}?done=source-saved");
    work(move || console.control.delete_key(&visit.who, None, &id, &key)).await?;
    Ok(go(back))
}

pub(super) async fn delete(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Result<Response, Oops> {
    work(move || console.control.delete_source(&visit.who, None, &id)).await?;
    Ok(go("/sources?done=removed"))
}

fn kind_name(kind: &str) -> &'static str {
    KINDS.iter().find(|(known, _, _)| *known == kind).map_or("HTTP API", |(_, name, _)| name)
}

/// An id made of a name, unlike all that are taken.
pub(super) fn free_id(name: &str, taken: &[String]) -> String {
    let mut id = String::new();
    for letter in name.chars().flat_map(char::to_lowercase) {
        if letter.is_ascii_alphanumeric() {
            id.push(letter);
        } else if !id.is_empty() && !id.ends_with('-') {
            id.push('-');
        }
    }
    let id: String = id.chars().take(48).collect();
    let id = match id.trim_matches('-') {
        "" => "unnamed",
        id => id,
    };
    let free = |id: &String| !taken.contains(id);
    let numbered = (2..).map(|number| format!("{id}-{number}"));
    std::iter::once(id.to_owned()).chain(numbered).find(free).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_made_of_a_name_and_is_unlike_all_others() {
        let taken = ["shop".to_owned(), "shop-2".to_owned()];
        for (name, id) in [
            ("Example Shop!", "example-shop"),
            ("Shop", "shop-3"),
            ("  ", "unnamed"),
            ("日本", "unnamed"),
            ("a—b", "a-b"),
        ] {
            assert_eq!(free_id(name, &taken), id, "{name}");
        }
    }

    #[test]
    fn the_form_offers_every_kind() {
        let offered = KINDS.map(|(kind, _, _)| kind);
        let mut known = crate::workspace::SourceKind::NAMES;
        known.sort_unstable();
        let mut sorted = offered;
        sorted.sort_unstable();
        assert_eq!(sorted, known);
    }
}
