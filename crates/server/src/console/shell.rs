//! What every page has around it.

use std::convert::Infallible;
use std::sync::Arc;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{Html, IntoResponse, Redirect, Response};

use super::fields::{Fields, cookie, set_cookie};
use super::{Console, assets};
use crate::control::{Actor, Origin, Role};

/// Where in the console a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Home,
    Sources,
    Integrations,
    Events,
    Settings,
    /// A page that is none.
    Nowhere,
}

/// A visit of a page: how it is to look, before what it says is known.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    /// Who visits; nobody before the sign-in.
    pub(super) who: Actor,
    theme: &'static str,
    host: String,
    /// The address by which clients reach the server, as far as it is known.
    origin: String,
    /// True if a proxy says that the visitor's connection is encrypted.
    forwarded: bool,
    /// True if it is, or is meant to be.
    secure: bool,
    done: Option<&'static str>,
}

/// Why the configuration can't be changed here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Locked {
    /// It is this file.
    File(String),
    /// The visitor may only look.
    Role,
}

/// What every page has around it.
#[derive(Clone, Debug)]
pub(super) struct Shell {
    pub(super) title: String,
    pub(super) section: Section,
    pub(super) theme: &'static str,
    pub(super) host: String,
    /// Why this visitor can't change the configuration here, if so.
    pub(super) locked: Option<Locked>,
    /// True if the visitor may have events sent once more.
    pub(super) may_replay: bool,
    /// What was just done, in one sentence.
    pub(super) done: Option<&'static str>,
}

/// The name of who isn't signed in. A token's name isn't empty.
const NOBODY: &str = "";

/// In seconds.
const YEAR: u32 = 365 * 24 * 3600;

const THEMES: [&str; 3] = ["auto", "light", "dark"];

/// What a page says after a change, by its word in the address.
const DONE: [(&str, &str); 13] = [
    ("source-added", "The source is there. Send it an event."),
    ("source-saved", "The source was changed."),
    ("enabled", "The integration is enabled and takes events from now on."),
    ("saved", "Saved. It holds for events from now on."),
    ("moved", "The actions are in the new order."),
    ("copied", "The copy is there, switched off: edit it, then switch it on."),
    ("deleted", "The action is deleted. An older revision brings it back."),
    ("removed", "Removed. What it did stays in the history."),
    ("replayed", "The replay has begun; what becomes of the events is below."),
    ("token-revoked", "The token lets nobody in any more."),
    ("applied", "The workspace was changed."),
    ("restored", "The older revision holds again, as a new one."),
    (
        "key-added",
        "The new write key works now, and the old one too: move the clients, then delete it.",
    ),
];

impl Visit {
    /// The shell of the page `title`.
    pub(super) fn shell(
        &self,
        console: &Console,
        section: Section,
        title: impl Into<String>,
    ) -> Shell {
        Shell {
            title: title.into(),
            section,
            theme: self.theme,
            host: self.host.clone(),
            locked: self.locked(console),
            may_replay: self.may_replay(),
            done: self.done,
        }
    }

    fn locked(&self, console: &Console) -> Option<Locked> {
        match console.control.workspaces.origin() {
            Origin::File(file) => Some(Locked::File(file.display().to_string())),
            Origin::Store if self.who.role < Role::Editor => Some(Locked::Role),
            Origin::Store => None,
        }
    }

    /// A shell for pages before the sign-in.
    pub(super) fn bare(&self, title: &str) -> Shell {
        Shell {
            title: title.to_owned(),
            section: Section::Home,
            theme: self.theme,
            host: self.host.clone(),
            locked: None,
            may_replay: false,
            done: None,
        }
    }

    /// True if the visitor may have events sent once more.
    pub(super) fn may_replay(&self) -> bool {
        self.who.role >= Role::Editor
    }

    /// True if the visitor is signed in.
    pub(super) fn is_known(&self) -> bool {
        self.who.name != NOBODY
    }

    /// The address by which clients reach the server, as far as it is known.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// Where to sign in, if a session begun at this address would be lost, since the browser only
    /// sends its cookie over encrypted connections.
    pub(super) fn elsewhere(&self) -> Option<String> {
        let public = self.origin.strip_prefix("https://")?;
        let host = self.host.rsplit_once(':').map_or(&*self.host, |(host, _)| host);
        let trusted = ["localhost", "127.0.0.1", "[::1]"].contains(&host);
        let here = public.split('/').next() == Some(&*self.host);
        (!trusted && !here && !self.forwarded).then(|| self.origin.clone())
    }

    /// A cookie for this visitor, for so many seconds or until the browser is closed.
    pub(super) fn cookie(&self, name: &str, value: &str, seconds: Option<u32>) -> String {
        let age = seconds.map_or_else(String::new, |seconds| format!("; Max-Age={seconds}"));
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{name}={value}; Path=/{age}; HttpOnly; SameSite=Lax{secure}")
    }
}

impl FromRequestParts<Arc<Console>> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        console: &Arc<Console>,
    ) -> Result<Visit, Infallible> {
        let theme = cookie(&parts.headers, "theme");
        let theme = THEMES.into_iter().find(|known| Some(*known) == theme).unwrap_or("auto");
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(header::HOST.as_str()).unwrap_or("localhost").to_owned();
        // Nothing but this answer depends on it, so whoever makes it up misleads only himself.
        let forwarded = text("x-forwarded-proto").is_some_and(|proto| proto.trim() == "https");
        let scheme = if forwarded { "https" } else { "http" };
        let origin = console.public.clone().unwrap_or_else(|| format!("{scheme}://{host}"));
        let secure = forwarded || origin.starts_with("https://");
        let query = parts.uri.query().unwrap_or_default();
        let word = query.split('&').find_map(|pair| pair.strip_prefix("done="));
        let done = DONE.iter().find(|(known, _)| Some(*known) == word).map(|(_, text)| *text);
        let who = parts.extensions.get::<Actor>().cloned();
        let who = who.unwrap_or_else(|| Actor::new(NOBODY, Role::Viewer));
        Ok(Visit { who, theme, host, origin, forwarded, secure, done })
    }
}

impl Shell {
    pub(super) fn css(&self) -> String {
        assets::address("console.css").unwrap_or_default()
    }

    pub(super) fn icon(&self) -> String {
        assets::address("icon.svg").unwrap_or_default()
    }

    pub(super) fn script(&self) -> Option<String> {
        assets::address("console.js")
    }

    pub(super) fn fonts(&self) -> Vec<String> {
        ["sans.woff2", "mono.woff2"].into_iter().filter_map(assets::address).collect()
    }

    pub(super) fn at(&self, section: Section) -> bool {
        self.section == section
    }

    /// True if the visitor can change the configuration here.
    pub(super) fn open(&self) -> bool {
        self.locked.is_none()
    }

    /// The theme that the button leads to.
    pub(super) fn next_theme(&self) -> &'static str {
        let at = THEMES.iter().position(|theme| *theme == self.theme).unwrap_or(0);
        THEMES.into_iter().cycle().nth(at + 1).unwrap_or("auto")
    }
}

/// A rendered page.
pub(super) fn page(template: &impl Template) -> Response {
    Html(text(template)).into_response()
}

/// A rendered template.
pub(super) fn text(template: &impl Template) -> String {
    template.render().expect("templates print plain data and cannot fail")
}

/// Back to a page after a form was posted.
pub(super) fn go(address: impl AsRef<str>) -> Response {
    Redirect::to(address.as_ref()).into_response()
}

pub(super) async fn choose_theme(visit: Visit, headers: HeaderMap, fields: Fields) -> Response {
    let wanted = fields.text("theme");
    let theme = THEMES.into_iter().find(|known| *known == wanted).unwrap_or("auto");
    let back = headers.get(header::REFERER).and_then(|value| value.to_str().ok());
    let back = back.and_then(|text| text.parse::<axum::http::Uri>().ok());
    let back = back.and_then(|uri| uri.path_and_query().map(ToString::to_string));
    let back = go(local(back.as_deref().unwrap_or("/")));
    set_cookie(back, &visit.cookie("theme", theme, Some(YEAR)))
}

/// `address` if it lies on this server, else the home page.
pub(super) fn local(address: &str) -> &str {
    let local = address.starts_with('/') && !address.starts_with("//") && !address.contains('\\');
    if local { address } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_server_are_gone_to() {
        for (address, gone_to) in [
            ("/events?user=ada", "/events?user=ada"),
            ("//evil.example/", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example", "/"),
            ("", "/"),
        ] {
            assert_eq!(local(address), gone_to, "{address}");
        }
    }
}
