//! The addresses for pages.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::assets::Family;

/// What a page may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// The settings document of a write key.
    Settings(Cow<'a, str>),
    /// A file by the hash of its content.
    Hashed(&'a str),
    /// The page plugin at an address that doesn't change.
    Plugin,
    /// A client's script.
    Snippet(Family),
    /// A further part of a client's script, by its name there.
    Chunk(Family, &'a str),
    /// An address at which nothing must be.
    Missing,
}

impl<'a> Route<'a> {
    /// `None` if it isn't an address for pages.
    pub(super) fn of(path: &'a str) -> Option<Route<'a>> {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        Some(match *parts.as_slice() {
            ["v1", "projects", key, "settings"] if !key.is_empty() => {
                Route::Settings(percent_decode_str(key).decode_utf8_lossy())
            }
            // The clients' `obfuscate` turns `hw` into its base64.
            ["p", "hw" | "aHc" | "heap-web", file] => Route::Hashed(file.strip_suffix(".js")?),
            ["s", file] if file.ends_with(".js") => Route::Snippet(Family::CustomerIo),
            ["s", "seg", file] if file.ends_with(".js") => Route::Snippet(Family::Segment),
            ["v1", "analytics-js", "snippet", _key, "analytics.min.js"] => {
                Route::Snippet(Family::CustomerIo)
            }
            ["analytics.js", "v1", _key, "analytics.min.js"] => Route::Snippet(Family::Segment),
            // Asked for where a policy refuses the settings; another program than the one at hand.
            ["v1", "analytics-js", "snippet", _key, "analytics.classic.js"]
            | ["analytics.js", "v1", _key, "analytics.classic.js"] => Route::Missing,
            // Where the hosted services have it; the file's name there tells its version.
            ["v1", "analytics-js", "actions", "heap-web.js"]
            | ["v1", "analytics-js", "actions", "heap-web", _]
            | ["next-integrations", "actions", "heap-web", _] => Route::Plugin,
            ["v1", "analytics-js", name] => Route::Chunk(Family::CustomerIo, name),
            ["analytics-next", "bundles", name] => Route::Chunk(Family::Segment, name),
            ["v1", "analytics-js", ..] | ["next-integrations", ..] => Route::Missing,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_of_both_clients_is_known_and_no_other() {
        let settings = |key: &'static str| Some(Route::Settings(key.into()));
        let cases = [
            ("/v1/projects/wk_site/settings", settings("wk_site")),
            ("/v1/projects/a%20b/settings", settings("a b")),
            ("/v1/projects//settings", None),
            ("/v1/projects/wk_site", None),
            ("/p/hw/0123456789abcdef.js", Some(Route::Hashed("0123456789abcdef"))),
            ("/p/aHc/0123456789abcdef.js", Some(Route::Hashed("0123456789abcdef"))),
            ("/p/hw/0123456789abcdef", None),
            ("/s/wk_site.js", Some(Route::Snippet(Family::CustomerIo))),
            ("/s/seg/wk_site.js", Some(Route::Snippet(Family::Segment))),
            (
                "/v1/analytics-js/snippet/wk_site/analytics.min.js",
                Some(Route::Snippet(Family::CustomerIo)),
            ),
            ("/v1/analytics-js/snippet/wk_site/analytics.classic.js", Some(Route::Missing)),
            ("/analytics.js/v1/wk_site/analytics.min.js", Some(Route::Snippet(Family::Segment))),
            ("/analytics.js/v1/wk_site/analytics.classic.js", Some(Route::Missing)),
            (
                "/v1/analytics-js/schemaFilter.js",
                Some(Route::Chunk(Family::CustomerIo, "schemaFilter.js")),
            ),
            (
                "/analytics-next/bundles/407.bundle.61.js",
                Some(Route::Chunk(Family::Segment, "407.bundle.61.js")),
            ),
            ("/v1/analytics-js/actions/heap-web.js", Some(Route::Plugin)),
            ("/v1/analytics-js/actions/heap-web/61efa1acb302134c434b.js", Some(Route::Plugin)),
            ("/next-integrations/actions/heap-web/61efa1acb302134c434b.js", Some(Route::Plugin)),
            ("/v1/analytics-js/actions/amplitude.js", Some(Route::Missing)),
            ("/v1/track", None),
            ("/v1/r", None),
            ("/", None),
        ];
        for (path, expected) in cases {
            assert_eq!(Route::of(path), expected, "{path}");
        }
    }
}
