//! Silent effects: what happened to an item without the sender being told.

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EffectKind {
    /// The environment is unknown or its id no number: recorded, not stored.
    AppDiscarded,
    DuplicateKey,
    ArrayJoined,
    ValueCut,
    ValueDropped,
    ValueAsText,
    KeyDropped,
    ReservedIdDropped,
    /// `Email`, `EMAIL` …: a property beside the built-in `email`.
    EmailCase,
    EventCut,
    EventDropped,
    TimestampNow,
    /// A bad item was skipped and the request answered as a success.
    ItemSkipped,
    AnonymousDiscarded,
    /// The user id already has another identity.
    SecondIdentity,
    /// The identity already took ten user ids within 30 days.
    IdentityFull,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) item: u32,
    pub(crate) kind: EffectKind,
    pub(crate) detail: Box<str>,
}

/// The effects of one request, in the order they came about.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    list: Vec<Effect>,
    item: u32,
}

impl Effects {
    /// Those that follow belong to this item.
    pub(crate) fn at_item(&mut self, item: usize) {
        self.item = u32::try_from(item).unwrap_or(u32::MAX);
    }

    pub(crate) fn add(&mut self, kind: EffectKind, detail: &str) {
        self.list.push(Effect { item: self.item, kind, detail: detail.into() });
    }

    /// What was noted of the present item is void: the item was refused.
    pub(crate) fn forget_item(&mut self) {
        let item = self.item;
        self.list.retain(|effect| effect.item != item);
    }

    pub(crate) fn into_vec(self) -> Vec<Effect> {
        self.list
    }
}
