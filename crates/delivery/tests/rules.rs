//! The rules of delivery, one claim each.

mod common;

use common::*;
use heapline_action::plan::{LimitCounts, LimitScope};
use heapline_delivery::{End, Fact};

#[test]
fn an_event_is_sent_and_delivered() {
    let mut bench = Bench::new(policy());
    bench.offer(vec![one_event(1, "ada")]);
    let sent = bench.answer(200);
    assert_eq!(texts(&sent), [r#"{"event":"1","identity":"ada"}"#]);
    assert_eq!(bench.ends[&1], End::Delivered);
    assert_eq!((bench.steps_done[&1], &bench.requests[&1]), (1, &vec![5001]));
    assert_eq!(bench.lane.load().parcels, 0);
    assert_eq!(bench.lane.load().bytes, 0);
}

#[test]
fn a_first_item_lingers_for_company() {
    let mut bench = Bench::new(heapline_delivery::Policy { linger_ms: 5, ..policy() });
    bench.offer(vec![one_event(1, "ada")]);
    assert!(bench.flying.is_empty());
    bench.now_ms += 2;
    bench.offer(vec![one_event(2, "bob")]);
    bench.sleep();
    assert_eq!(parcels(&bench.flying[0]), [1, 2]);
}

#[test]
fn while_a_request_is_in_flight_others_gather() {
    let mut bench = Bench::new(policy());
    bench.offer(vec![one_event(1, "u1")]);
    bench.offer(vec![one_event(2, "u2")]);
    bench.offer(vec![one_event(3, "u3")]);
    assert_eq!(bench.flying.len(), 1);
    bench.answer(200);
    assert_eq!(parcels(&bench.flying[0]), [2, 3]);
}

#[test]
fn a_full_batch_goes_beside_one_in_flight_up_to_the_bound() {
    let mut bench = Bench::new(policy());
    for n in 0..10_000 {
        bench.offer(vec![one_event(n, &format!("u{n}"))]);
    }
    assert_eq!(bench.flying.len(), 4);
    assert_eq!(bench.flying[0].items.len(), 1);
    assert!(bench.flying[1..].iter().all(|sent| sent.items.len() == 1000));
}

#[test]
fn a_user_is_never_in_two_requests() {
    let mut bench = Bench::new(policy());
    bench.offer((0..2500).map(|n| one_event(n, "ada")).collect());
    assert_eq!(bench.flying.len(), 1);
    assert_eq!(parcels(&bench.answer(200)), (0..1000).collect::<Vec<_>>());
    bench.run(|_| 200);
    assert_eq!(bench.sent, 3);
}

#[test]
fn updates_fold_and_go_before_events() {
    let mut bench = Bench::new(policy());
    bench.offer(vec![
        parcel(
            1,
            "ada",
            vec![update("ada", &[("plan", "free"), ("team", "x")]), event("ada", "a")],
        ),
        parcel(2, "ada", vec![event("ada", "b")]),
        parcel(3, "ada", vec![update("ada", &[("plan", "pro")])]),
    ]);
    let sent = bench.answer(200);
    let folded = r#"{"identity":"ada","properties":{"plan":"pro","team":"x"}}"#;
    assert_eq!(texts(&sent), [folded]);
    assert_eq!(bench.progress, [(1, 0)]);
    assert_eq!(bench.ends.keys().collect::<Vec<_>>(), [&3]);
    bench.wait(1);
    assert_eq!(parcels(&bench.answer(200)), [1, 2]);
    assert_eq!((bench.ends.len(), bench.sent), (3, 2));
}

#[test]
fn a_step_that_was_taken_before_a_restart_is_not_sent_again() {
    let mut bench = Bench::new(policy());
    let mut again = parcel(1, "ada", vec![update("ada", &[("a", "1")]), event("ada", "a")]);
    again.done = 1;
    bench.offer(vec![again]);
    let sent = bench.answer(200);
    assert_eq!(sent.endpoint, EVENTS);
    assert_eq!((bench.sent, bench.steps_done[&1]), (1, 3));
}

#[test]
fn one_bad_item_fails_alone_and_all_others_are_delivered_in_order() {
    for bad in [0, 1, 511, 998, 999] {
        let mut bench = Bench::new(policy());
        bench.offer((0..1000).map(|n| one_event(n, &format!("u{}", n % 300))).collect());
        let mut taken = Vec::new();
        bench.run(|sent| {
            if parcels(sent).contains(&bad) {
                return 400;
            }
            taken.extend(parcels(sent));
            200
        });
        assert!(bench.sent <= 40, "{} requests for one bad item", bench.sent);
        for n in 0..1000 {
            assert_eq!(matches!(bench.ends[&n], End::Failed { step: 0, .. }), n == bad);
        }
        for user in 0..300 {
            let order: Vec<_> = taken.iter().filter(|n| **n % 300 == user).collect();
            assert!(order.is_sorted());
        }
    }
}

#[test]
fn a_bad_update_fails_alone_and_its_own_event_is_still_sent() {
    let mut bench = Bench::new(policy());
    let parcels_of =
        |n: u64| parcel(n, "ada", vec![update("ada", &[("n", &n.to_string())]), event("ada", "e")]);
    bench.offer((0..8).map(parcels_of).collect());
    bench.run(
        |sent| if sent.endpoint == PROPERTIES && parcels(sent).contains(&5) { 400 } else { 200 },
    );
    for n in 0..8 {
        let failed =
            matches!(&bench.ends[&n], End::Failed { step: 0, answer } if answer.status == 400);
        assert_eq!(failed, n == 5);
        assert_eq!(bench.steps_done[&n], if n == 5 { 2 } else { 3 });
    }
}

#[test]
fn retry_after_silences_the_whole_integration() {
    let mut bench = Bench::new(policy());
    bench.offer(vec![one_event(1, "ada")]);
    let mut told = answer(503);
    told.retry_after_ms = Some(60_000);
    bench.answer_with(told);
    bench.offer(vec![parcel(2, "bob", vec![update("bob", &[("a", "b")])])]);
    let until_ms = bench.now_ms + 60_000;
    while bench.flying.is_empty() {
        bench.sleep();
    }
    assert!(bench.now_ms >= until_ms);
    bench.run(|_| 200);
    assert_eq!(bench.ends.len(), 2);
}

#[test]
fn a_dead_destination_is_probed_one_request_at_a_time() {
    let mut bench = Bench::new(policy());
    bench.offer((0..8000).map(|n| one_event(n, &format!("u{n}"))).collect());
    assert_eq!(bench.flying.len(), 4);
    (0..4).for_each(|_| drop(bench.answer(500)));
    for _ in 0..20 {
        bench.sleep();
        assert!(bench.flying.len() <= 1);
        if !bench.flying.is_empty() {
            bench.answer(0);
        }
    }
    let probes = bench.sent;
    bench.run(|_| 200);
    assert_eq!(bench.ends.len(), 8000);
    assert!(bench.sent - probes < 20, "{} requests after an outage", bench.sent - probes);
}

#[test]
fn what_fails_for_the_whole_window_expires_and_the_queue_goes_on() {
    let mut bench = Bench::new(policy());
    bench.offer(vec![one_event(1, "ada"), one_event(2, "bob"), one_event(3, "ada")]);
    let start = bench.now_ms;
    bench.run(|sent| if parcels(sent).contains(&1) { 500 } else { 200 });
    assert!(matches!(&bench.ends[&1], End::Expired { answer } if answer.status == 500));
    assert_eq!((&bench.ends[&2], &bench.ends[&3]), (&End::Delivered, &End::Delivered));
    let window = 72 * 3_600_000;
    assert!((window..window + 400_000).contains(&(bench.now_ms - start)));
    assert!(bench.requests[&1].len() <= 32);
}

#[test]
fn paused_nothing_is_sent() {
    let mut bench = Bench::new(policy());
    bench.tell(Fact::Pause);
    bench.offer(vec![one_event(1, "ada")]);
    bench.wait(1_000_000);
    assert_eq!((bench.sent, bench.wake_ms), (0, None));
    bench.tell(Fact::Resume);
    assert_eq!(bench.sent, 1);
}

#[test]
fn a_drained_lane_settles_what_is_in_flight_and_gives_back_the_rest() {
    let mut bench = Bench::new(policy());
    let both = |n| parcel(n, "ada", vec![update("ada", &[("a", "b")]), event("ada", "e")]);
    bench.offer(vec![both(1), both(2), one_event(3, "bob")]);
    assert_eq!(bench.flying.len(), 2);
    bench.tell(Fact::Drain);
    bench.run(|_| 200);
    assert_eq!((bench.ends.len(), bench.lane.load().in_flight), (1, 0));
    let rest = bench.lane.unfinished();
    let rest: Vec<_> = rest.iter().map(|rest| (rest.parcel, rest.steps_done)).collect();
    assert_eq!(rest, [(1, 1), (2, 1)]);
}

#[test]
fn thousands_of_mixed_events_take_few_requests() {
    let mut bench = Bench::new(policy());
    for thousand in 0..20 {
        let mixed = |n: u64| {
            let user = format!("u{}", n * 7 % 3000);
            let steps = match n % 4 {
                0 => vec![update(&user, &[("n", &n.to_string())]), event(&user, "e")],
                1 => vec![update(&user, &[("m", &n.to_string())])],
                _ => vec![event(&user, "e")],
            };
            parcel(n, &user, steps)
        };
        bench.offer((thousand * 1000..(thousand + 1) * 1000).map(mixed).collect());
    }
    bench.run(|_| 200);
    assert_eq!(bench.ends.len(), 20_000);
    assert!(bench.sent <= 100, "{} requests for 20,000 events", bench.sent);
}

#[test]
fn an_item_that_breaks_the_destination_harms_only_its_user() {
    let mut bench = Bench::new(policy());
    bench.offer((0..1000).map(|n| one_event(n, &format!("u{n}"))).collect());
    let start = bench.now_ms;
    let mut last_good = start;
    while bench.ends.len() < 1000 {
        if bench.flying.is_empty() {
            bench.sleep();
            continue;
        }
        let bad = parcels(&bench.flying[0]).contains(&500);
        bench.answer(if bad { 500 } else { 200 });
        if !bad {
            last_good = bench.now_ms;
        }
    }
    assert!(last_good - start < 60_000, "others waited for {} ms", last_good - start);
    assert!(matches!(bench.ends[&500], End::Expired { .. }));
    let failed = bench.ends.values().filter(|end| **end != End::Delivered).count();
    assert_eq!(failed, 1);
}

#[test]
fn good_items_are_found_among_many_that_break_the_destination() {
    for seed in 0..50 {
        let mut bench =
            Bench::new(heapline_delivery::Policy { seed, max_backoff_ms: 30_000, ..policy() });
        bench.offer((0..24).map(|n| one_event(n, &format!("u{n}"))).collect());
        let start = bench.now_ms;
        let good = |n: &u64| n % 6 == 5;
        while !(0..24).filter(good).all(|n| bench.ends.contains_key(&n)) {
            if bench.flying.is_empty() {
                bench.sleep();
                continue;
            }
            let status = if parcels(&bench.flying[0]).iter().all(good) { 200 } else { 500 };
            bench.answer(status);
        }
        let took = bench.now_ms - start;
        assert!(took < 3_600_000, "seed {seed}: {took} ms");
    }
}

#[test]
fn an_endpoint_that_is_down_holds_only_users_who_need_it() {
    let mut bench = Bench::new(policy());
    let both = |n, user| parcel(n, user, vec![update(user, &[("a", "b")]), event(user, "e")]);
    bench.offer(vec![both(1, "ada")]);
    bench.answer(503);
    bench.offer(vec![one_event(2, "bob"), one_event(3, "ada")]);
    bench.answer(200);
    assert_eq!(bench.ends.keys().collect::<Vec<_>>(), [&2]);
    bench.run(|_| 200);
    assert_eq!(bench.ends.len(), 3);
}

#[test]
fn a_user_over_his_own_limit_holds_back_nobody() {
    let mut policy = policy();
    let own = limit(LimitScope::Identity, LimitCounts::Items, 10, 60_000);
    policy.endpoints[1].limits.push(own);
    let mut bench = Bench::new(policy);
    bench.offer((0..25).map(|n| one_event(n, "ada")).collect());
    assert_eq!(bench.answer(200).items.len(), 10);
    bench.offer((25..50).map(|n| one_event(n, &format!("u{n}"))).collect());
    assert_eq!(parcels(&bench.answer(200)), (25..50).collect::<Vec<_>>());
    let start = bench.now_ms;
    bench.run(|_| 200);
    assert_eq!(bench.ends.len(), 50);
    assert!((120_000..122_000).contains(&(bench.now_ms - start)));
}

#[test]
fn the_integrations_limit_is_used_up_in_large_requests() {
    let mut policy = policy();
    let all = limit(LimitScope::Integration, LimitCounts::Items, 15_000, 60_000);
    policy.endpoints[1].limits.push(all);
    let mut bench = Bench::new(policy);
    bench.offer((0..45_000).map(|n| one_event(n, &format!("u{n}"))).collect());
    let start = bench.now_ms;
    bench.run(|_| 200);
    assert_eq!(bench.ends.len(), 45_000);
    assert!((120_000..121_000).contains(&(bench.now_ms - start)));
    assert!(bench.sent <= 60, "{} requests", bench.sent);
}

#[test]
fn a_limit_tells_what_is_used_of_it_until_a_window_after_the_answer() {
    let mut policy = policy();
    let all = limit(LimitScope::Integration, LimitCounts::Items, 100, 60_000);
    let own = limit(LimitScope::Identity, LimitCounts::Items, 10, 60_000);
    policy.endpoints[1].limits = vec![all, own];
    let mut bench = Bench::new(policy);
    bench.offer((0..25).map(|n| one_event(n, if n < 12 { "ada" } else { "bob" })).collect());
    let used = |bench: &Bench, after_ms: u64| {
        let usage = bench.lane.usage(bench.now_ms + after_ms);
        assert!(usage.iter().all(|usage| usage.endpoint == EVENTS));
        assert_eq!([usage[0].limit, usage[1].limit], [all, own]);
        [0, 1].map(|at: usize| (usage[at].used, usage[at].budgets, usage[at].exhausted))
    };
    assert_eq!(used(&bench, 0), [(20, 1, 0), (10, 2, 2)]);
    bench.answer(200);
    assert_eq!(used(&bench, 59_999), [(20, 1, 0), (10, 2, 2)]);
    assert_eq!(used(&bench, 61_000), [(0, 0, 0), (0, 0, 0)]);
}

#[test]
fn back_off_is_full_jitter_under_a_doubling_bound() {
    let mut waits: Vec<Vec<u64>> = vec![Vec::new(); 14];
    for seed in 0..200 {
        let mut bench = Bench::new(heapline_delivery::Policy { seed, ..policy() });
        bench.offer(vec![one_event(1, "ada")]);
        for waits in &mut waits {
            bench.answer(503);
            let failed_ms = bench.now_ms;
            while bench.flying.is_empty() {
                bench.sleep();
            }
            waits.push(bench.now_ms - failed_ms);
        }
    }
    for (waits, n) in waits.iter().zip(0..) {
        let bound = 300_000.min(500 << n);
        assert!(waits.iter().all(|wait| (1..=bound).contains(wait)), "attempt {n}");
        assert!(waits.iter().any(|wait| *wait < bound / 10), "attempt {n}");
        assert!(waits.iter().any(|wait| *wait > bound * 9 / 10), "attempt {n}");
    }
}
