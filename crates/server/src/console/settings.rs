//! Settings: the workspace as a document, its history, who may come in, who did what.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::fields::Fields;
use super::oops::{Oops, sentence};
use super::shell::{Locked, Section, Shell, Visit, go, page as shown};
use super::{Console, work};
use crate::control::{AuditEntry, Document, Problem, RevisionInfo, Role, TokenInfo};

/// Where in the settings a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Workspace,
    History,
    Tokens,
    Audit,
}

#[derive(Template)]
#[template(path = "workspace.html")]
struct Workspace {
    shell: Shell,
    part: Part,
    document: Document,
    diff: Vec<DiffLine>,
    faults: Vec<String>,
    warnings: Vec<String>,
    /// True if the document was looked at and would change something.
    ready: bool,
    checked: bool,
}

/// A line of a difference.
struct DiffLine {
    class: &'static str,
    text: String,
}

#[derive(Template)]
#[template(path = "history.html")]
struct History {
    shell: Shell,
    part: Part,
    revisions: Vec<RevisionInfo>,
    now: u64,
}

#[derive(Template)]
#[template(path = "revision.html")]
struct Revision {
    shell: Shell,
    part: Part,
    number: u64,
    now: u64,
    diff: Vec<DiffLine>,
    document: Document,
}

#[derive(Template)]
#[template(path = "tokens.html")]
struct Tokens {
    shell: Shell,
    part: Part,
    tokens: Vec<TokenInfo>,
    roles: [(&'static str, &'static str); 3],
    fresh: Option<String>,
    fault: Option<String>,
    allowed: bool,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct Audit {
    shell: Shell,
    part: Part,
    entries: Vec<AuditEntry>,
}

const ROLES: [(&str, &str); 3] = [
    ("viewer", "sees everything but secrets"),
    ("editor", "changes the workspace, sees write keys, replays"),
    ("admin", "makes and revokes tokens, too"),
];

pub(super) async fn workspace(State(console): State<Arc<Console>>, visit: Visit) -> Response {
    let shell = visit.shell(&console, Section::Settings, "Workspace");
    let document = console.control.workspaces.document(&visit.who);
    shown(&Workspace {
        shell,
        part: Part::Workspace,
        document,
        diff: Vec::new(),
        faults: Vec::new(),
        warnings: Vec::new(),
        ready: false,
        checked: false,
    })
}

/// Shows what a document would change; applies it once that was seen.
pub(super) async fn put_workspace(
    State(console): State<Arc<Console>>,
    visit: Visit,
    fields: Fields,
) -> Result<Response, Oops> {
    let answer = work(move || {
        let (control, who) = (&console.control, &visit.who);
        let text = fields.text("document").replace("\r\n", "\n") + "\n";
        let mut document = control.workspaces.document(who);
        let revision = fields.revision().unwrap_or(document.revision);
        let mut faults = Vec::new();
        if fields.has("apply") {
            match control.workspaces.put(who, &text, revision) {
                Ok(_) => return Ok(go("/settings?done=applied")),
                Err(Problem::Faulty(all)) => {
                    faults = all.iter().map(|fault| sentence(&fault.to_string())).collect();
                }
                Err(problem) => faults.push(sentence(&problem.to_string())),
            }
        }
        let checked = control.workspaces.check(who, &text);
        let told = |(path, message): (&str, &str)| sentence(&format!("{path}: {message}"));
        if faults.is_empty() {
            let all = checked.faults.iter().map(|f| (f.path.as_str(), f.message.as_str()));
            faults = all.map(told).collect();
        }
        let all = checked.warnings.iter().map(|f| (f.path.as_str(), f.message.as_str()));
        let warnings = all.map(told).collect();
        document.text = text;
        document.revision = revision;
        let ready = faults.is_empty() && !checked.diff.is_empty();
        let status =
            if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
        let page = Workspace {
            shell: visit.shell(&console, Section::Settings, "Workspace"),
            part: Part::Workspace,
            document,
            diff: lines(&checked.diff),
            faults,
            warnings,
            ready,
            checked: true,
        };
        Ok((status, shown(&page)).into_response())
    });
    answer.await
}

pub(super) async fn history(
    State(console): State<Arc<Console>>,
    visit: Visit,
) -> Result<Response, Oops> {
    let page = work(move || {
        Ok(History {
            shell: visit.shell(&console, Section::Settings, "History"),
            part: Part::History,
            revisions: console.control.workspaces.history()?,
            now: console.control.workspaces.current().revision,
        })
    });
    Ok(shown(&page.await?))
}

pub(super) async fn revision(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(number): Path<u64>,
) -> Result<Response, Oops> {
    let page = work(move || {
        let workspaces = &console.control.workspaces;
        let diff = workspaces.diff(&visit.who, number.saturating_sub(1), number)?;
        Ok(Revision {
            shell: visit.shell(&console, Section::Settings, format!("Revision {number}")),
            part: Part::History,
            number,
            now: workspaces.current().revision,
            diff: lines(&diff.diff),
            document: workspaces.revision(&visit.who, number)?,
        })
    });
    Ok(shown(&page.await?))
}

pub(super) async fn restore(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(number): Path<u64>,
    fields: Fields,
) -> Result<Response, Oops> {
    work(move || {
        let workspaces = &console.control.workspaces;
        let expected = fields.revision().unwrap_or(workspaces.current().revision);
        workspaces.restore(&visit.who, number, expected)
    })
    .await?;
    Ok(go("/settings/history?done=restored"))
}

pub(super) async fn tokens(
    State(console): State<Arc<Console>>,
    visit: Visit,
) -> Result<Response, Oops> {
    Ok(shown(&work(move || tokens_page(&console, &visit, None, None)).await?))
}

fn tokens_page(
    console: &Console,
    visit: &Visit,
    fresh: Option<String>,
    fault: Option<String>,
) -> Result<Tokens, Problem> {
    let allowed = visit.who.role == Role::Admin;
    let tokens = if allowed { console.control.tokens(&visit.who)? } else { Vec::new() };
    let shell = visit.shell(console, Section::Settings, "Tokens");
    Ok(Tokens { shell, part: Part::Tokens, tokens, roles: ROLES, fresh, fault, allowed })
}

/// Makes a token and shows it, this once.
pub(super) async fn make_token(
    State(console): State<Arc<Console>>,
    visit: Visit,
    fields: Fields,
) -> Result<Response, Oops> {
    let page = work(move || {
        let role = Role::ALL.into_iter().find(|role| role.word() == fields.text("role"));
        let role = role.unwrap_or(Role::Viewer);
        let made = console.control.create_token(&visit.who, fields.text("name"), role);
        match made {
            Ok(fresh) => tokens_page(&console, &visit, Some(fresh.token), None),
            Err(problem @ Problem::Bad(_)) => {
                tokens_page(&console, &visit, None, Some(sentence(&problem.to_string())))
            }
            Err(other) => Err(other),
        }
    });
    Ok(shown(&page.await?))
}

pub(super) async fn revoke_token(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Result<Response, Oops> {
    work(move || console.control.revoke_token(&visit.who, &id)).await?;
    Ok(go("/settings/tokens?done=token-revoked"))
}

pub(super) async fn audit(
    State(console): State<Arc<Console>>,
    visit: Visit,
) -> Result<Response, Oops> {
    let shell = visit.shell(&console, Section::Settings, "Audit log");
    let entries = work(move || console.control.audit(None, 200)).await?;
    Ok(shown(&Audit { shell, part: Part::Audit, entries }))
}

fn lines(diff: &str) -> Vec<DiffLine> {
    let line = |text: &str| DiffLine {
        class: match text.chars().next() {
            _ if text.starts_with("+++") || text.starts_with("---") => "head",
            Some('+') => "plus",
            Some('-') => "minus",
            Some('@') => "head",
            Some(_) | None => "same",
        },
        text: text.to_owned(),
    };
    diff.lines().map(line).collect()
}
