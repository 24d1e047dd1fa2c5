//! Lanes in a hostile world, by seed. `HEAPLINE_SEEDS=n` runs more of them; `HEAPLINE_SEED=n` runs
//! one and prints its trace when it fails.

mod common;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use world::{Plant, World};

fn run(seed: u64, plant: Plant) -> Result<String, String> {
    let mut world = World::new(seed, plant);
    let end = catch_unwind(AssertUnwindSafe(|| world.run()));
    match end {
        Ok(()) => Ok(world.trace),
        Err(panic) => {
            let message = panic.downcast_ref::<String>().cloned();
            let message = message.or_else(|| panic.downcast_ref::<&str>().map(|m| (*m).to_owned()));
            Err(format!("{}\nseed {seed}: {}", world.trace, message.unwrap_or_default()))
        }
    }
}

fn number(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "chooses which seeds a test runs")]
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..10 {
        let (first, second) = (run(seed, Plant::None).unwrap(), run(seed, Plant::None).unwrap());
        assert!(first == second, "seed {seed} ran in two ways");
        assert_ne!(first, run(seed + 1000, Plant::None).unwrap());
    }
}

#[test]
fn every_promise_is_kept_in_a_hostile_world() {
    if let Some(seed) = number("HEAPLINE_SEED") {
        if let Err(trace) = run(seed, Plant::None) {
            panic!("{trace}");
        }
        return;
    }
    let failures: Vec<String> = (0..number("HEAPLINE_SEEDS").unwrap_or(200))
        .filter_map(|seed| run(seed, Plant::None).err())
        .map(|trace| trace.lines().last().unwrap_or_default().to_owned())
        .collect();
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn planted_faults_are_noticed() {
    for (plant, complaint) in [
        (Plant::SwapsOffers, "out of order"),
        (Plant::DropsRetryAfter, "sent while told to be quiet"),
        (Plant::ForgetsProgress, "sent again after it was acknowledged"),
        (Plant::TakesResetsForSuccess, "lost"),
        (Plant::LiesAboutLimits, "over the limit"),
        (Plant::LosesAParcel, "never ended"),
        (Plant::BlamesItems, "too many that were not to blame"),
        (Plant::ForgetsQuiet, "sent while told to be quiet"),
    ] {
        let seen = |seed| run(seed, plant).is_err_and(|trace| trace.contains(complaint));
        assert!((0..100).any(seen), "{plant:?} was not noticed");
    }
}
