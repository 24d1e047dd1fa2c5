//! The paths of the door and what each takes.

/// The six calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Identify,
    Track,
    Page,
    Screen,
    Group,
    Alias,
}

impl Call {
    pub(super) fn from_name(name: &str) -> Option<Call> {
        Some(match name {
            "identify" => Call::Identify,
            "track" => Call::Track,
            "page" => Call::Page,
            "screen" => Call::Screen,
            "group" => Call::Group,
            "alias" => Call::Alias,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Call::Identify => "identify",
            Call::Track => "track",
            Call::Page => "page",
            Call::Screen => "screen",
            Call::Group => "group",
            Call::Alias => "alias",
        }
    }
}

/// What a path takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// One call of this type.
    Single(Call),
    /// A list of calls.
    Batch,
    /// A client's own metrics: counted, not kept.
    Metrics,
    /// Reports of the page plugin on what it sent.
    Receipts,
}

impl Route {
    /// The route of a path; one trailing slash makes no difference, since a redirect would turn a
    /// client's POST into a GET.
    pub fn of(path: &str) -> Option<Route> {
        let path = path.strip_suffix('/').unwrap_or(path);
        if path == "/beacon/v1/batch" {
            return Some(Route::Batch);
        }
        let name = path.strip_prefix("/v1/")?;
        Some(match name {
            "i" => Route::Single(Call::Identify),
            "t" => Route::Single(Call::Track),
            "p" => Route::Single(Call::Page),
            "s" => Route::Single(Call::Screen),
            "g" => Route::Single(Call::Group),
            "a" => Route::Single(Call::Alias),
            "b" | "batch" | "import" => Route::Batch,
            "m" => Route::Metrics,
            "r" => Route::Receipts,
            name => Route::Single(Call::from_name(name)?),
        })
    }
}
