//! The embedded store does what the model does, whatever is asked of it in whatever order.
#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod common;

use std::collections::BTreeMap;

use common::*;
use heapline_store::{
    Embedded, LedgerBatch, Memory, NewEvent, Outcome, Query, Settings, Settlement, Store,
};
use proptest::prelude::*;

const INTEGRATIONS: [&str; 2] = ["heap", "second"];
const OUTCOMES: [Outcome; 7] = [
    Outcome::Pending,
    Outcome::Held,
    Outcome::Delivered,
    Outcome::Filtered,
    Outcome::Refused,
    Outcome::Failed,
    Outcome::Expired,
];
const CODES: [&str; 3] = ["", "trigger", "http_400"];

/// Place; integration; outcome and code of each delivery.
type Fate = (u64, usize, Vec<(usize, usize)>);

#[derive(Clone, Debug)]
enum Verb {
    Append(Vec<NewEvent>),
    Record { fates: Vec<Fate>, cursor: u64, hold: bool },
    Release(u64),
    Find(Box<Query>),
    Reject(Vec<usize>),
    Save(u64),
    Reopen,
}

fn some_event() -> impl Strategy<Value = NewEvent> {
    let of = |names: &'static [&'static str]| proptest::sample::select(names);
    let id = (0..60_u32).prop_map(|n| format!("m{n}"));
    (
        of(&["site", "app"]),
        0..3 * DAY,
        id,
        proptest::option::of(of(&["ann", "bob", "c"])),
        proptest::option::of(of(&["x", "y"])),
        of(&["Clicked", "page"]),
        0..300_usize,
    )
        .prop_map(|(source, at, id, user, anonymous, name, len)| NewEvent {
            source: source.into(),
            received_at: NOW + at,
            message_id: id.into(),
            user_id: user.map(Into::into),
            anonymous_id: anonymous.map(Into::into),
            name: name.into(),
            json: vec![b'{'; len].into(),
        })
}

fn some_query() -> impl Strategy<Value = Query> {
    let of = |names: &'static [&'static str]| {
        proptest::option::weighted(0.2, proptest::sample::select(names).prop_map(String::from))
    };
    let number = |most: i64| proptest::option::weighted(0.2, 0..most);
    let who = (
        proptest::option::weighted(0.2, (0..60_u32).prop_map(|n| format!("m{n}"))),
        of(&["ann", "bob", "nobody"]),
        of(&["x", "y"]),
        of(&["site", "app"]),
        of(&["Clicked", "page"]),
    );
    let what = (
        of(&["heap", "second", "third"]),
        proptest::option::weighted(0.3, proptest::sample::select(&OUTCOMES[..])),
        of(&CODES),
        number(3 * DAY),
        number(3 * DAY),
        number(80),
        number(80),
        1..7_usize,
    );
    (who, what).prop_map(|(who, what)| Query {
        message_id: who.0,
        user_id: who.1,
        anonymous_id: who.2,
        source: who.3,
        event: who.4,
        integration: what.0,
        outcome: what.1,
        code: what.2,
        since: what.3.map(|at| NOW + at),
        until: what.4.map(|at| NOW + at),
        before: what.5.map(|seq| seq as u64),
        from: what.6.map(|seq| seq as u64),
        limit: what.7,
    })
}

fn some_verb() -> impl Strategy<Value = Verb> {
    let deliveries = proptest::collection::vec((0..OUTCOMES.len(), 0..CODES.len()), 0..3);
    let fates = proptest::collection::vec((1..80_u64, 0..2_usize, deliveries), 0..6);
    prop_oneof![
        4 => proptest::collection::vec(some_event(), 0..8).prop_map(Verb::Append),
        3 => (fates, 1..80_u64, any::<bool>())
            .prop_map(|(fates, cursor, hold)| Verb::Record { fates, cursor, hold }),
        1 => (1..80_u64).prop_map(Verb::Release),
        5 => some_query().prop_map(|query| Verb::Find(Box::new(query))),
        1 => proptest::collection::vec(0..9_usize, 0..9).prop_map(Verb::Reject),
        1 => (0..3_u64).prop_map(Verb::Save),
        1 => Just(Verb::Reopen),
    ]
}

/// Settlements of events that exist.
fn batch(model: &Memory, fates: Vec<Fate>, cursor: u64, hold: bool) -> LedgerBatch {
    let next = model.extent().next;
    let mut batch = LedgerBatch::default();
    for (seq, integration, deliveries) in fates {
        if seq >= next {
            continue;
        }
        let integration = INTEGRATIONS[integration];
        let deliveries =
            deliveries.iter().map(|(o, c)| delivery(OUTCOMES[*o], CODES[*c])).collect();
        batch.settlements.push(Settlement {
            seq,
            integration: integration.into(),
            revision: cursor,
            deliveries,
        });
        if hold {
            batch.hold.push(held(seq, "x", NOW + cursor as i64));
        }
    }
    batch.cursors.insert("heap".into(), cursor.min(next));
    batch
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn embedded_equals_memory(
        verbs in proptest::collection::vec(some_verb(), 1..50),
        search_limit in prop_oneof![Just(1_usize), Just(60), Just(100_000)],
    ) {
        let settings = Settings { search_limit, ..small() };
        let dir = tempfile::tempdir().unwrap();
        let model = Memory::new(settings.clone());
        let mut store = Embedded::open(dir.path(), settings.clone()).unwrap();
        for verb in verbs {
            match verb {
                Verb::Append(events) => {
                    prop_assert_eq!(append(&store, events.clone()), append(&model, events));
                }
                Verb::Record { fates, cursor, hold } => {
                    let batch = batch(&model, fates, cursor, hold);
                    prop_assert_eq!(store.record(&batch), model.record(&batch));
                }
                Verb::Release(seq) => {
                    let release = vec![("heap".into(), seq)];
                    let batch = LedgerBatch { release, ..LedgerBatch::default() };
                    prop_assert_eq!(store.record(&batch), model.record(&batch));
                }
                Verb::Find(query) => {
                    prop_assert_eq!(find_all(&store, &query), find_all(&model, &query), "{:?}", query);
                }
                Verb::Reject(some) => {
                    let some: Vec<_> = some.into_iter().map(|n| rejected(n, "site")).collect();
                    store.reject(some.clone());
                    model.reject(some);
                }
                Verb::Save(expected) => {
                    let save = |store: &dyn Store| store.save_revision(expected, NOW, "ann", "doc");
                    prop_assert_eq!(save(&store), save(&model));
                }
                Verb::Reopen => {
                    drop(store);
                    store = Embedded::open(dir.path(), settings.clone()).unwrap();
                }
            }
        }
        let (ours, models) = (store.extent(), model.extent());
        prop_assert_eq!((ours.first, ours.next), (models.first, models.next));
        prop_assert_eq!(read_all(&store, 1), read_all(&model, 1));
        prop_assert_eq!(store.cursor("heap"), model.cursor("heap"));
        for only in [None, Some("heap"), Some("nobody")] {
            for outcomes in [&OUTCOMES[..], &[Outcome::Failed, Outcome::Expired]] {
                prop_assert_eq!(store.reasons(only, outcomes), model.reasons(only, outcomes));
            }
        }
        for integration in INTEGRATIONS {
            let all = |store: &dyn Store| -> BTreeMap<u64, Settlement> {
                store.settlements(integration, 0, u64::MAX).unwrap()
            };
            prop_assert_eq!(all(&store), all(&model));
        }
        prop_assert_eq!(store.held("heap", "x"), model.held("heap", "x"));
        let up = |store: &dyn Store| store.held_until("heap", NOW + 40, 5).unwrap();
        prop_assert_eq!(up(&store), up(&model));
        prop_assert_eq!(store.rejected(None, 99), model.rejected(None, 99));
        prop_assert_eq!(store.revisions(), model.revisions());
    }
}
