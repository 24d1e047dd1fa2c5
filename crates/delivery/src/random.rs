//! Jitter and hashing from a seed.

use std::hash::{BuildHasher, DefaultHasher, Hasher};

/// A generator of well-mixed numbers (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in 1 ..= `top`; 1 if `top` is 0.
    pub(crate) fn up_to(&mut self, top: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(top.max(1));
        u64::try_from(wide >> 64).expect("a 128-bit number shifted by 64 fits") + 1
    }
}

/// Keyed hashing: who doesn't know the seed can't build users whose hashes collide.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Keyed(pub(crate) u64);

impl BuildHasher for Keyed {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

impl Keyed {
    /// The hash of a text.
    pub(crate) fn of(self, text: &str) -> u64 {
        self.hash_one(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_in_its_range_and_fills_it() {
        let mut random = Random::new(1);
        let draws: Vec<u64> = (0..1000).map(|_| random.up_to(10)).collect();
        assert!(draws.iter().all(|d| (1..=10).contains(d)));
        assert!((1..=10).all(|n| draws.contains(&n)));
        assert_eq!(random.up_to(0), 1);
    }
}
