//! Heap's user ids, event ids and idempotency keys as numbers.

use md5::{Digest, Md5};
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// The largest user id: 2^53 − 1.
pub(crate) const MAX_USER_ID: u64 = (1 << 53) - 1;

/// The user id that Heap makes of a text: md5 of its bytes; the low 32 bits are the little-endian
/// number at byte 0, the high 21 bits come from the one at byte 8 (heap-api §12).
pub(crate) fn user_id_of(text: &str) -> u64 {
    let digest: [u8; 16] = Md5::digest(text.as_bytes()).into();
    let [a, b, c, d, _, _, _, _, e, f, g, h, _, _, _, _] = digest;
    let low = u64::from(u32::from_le_bytes([a, b, c, d]));
    let high = u64::from(u32::from_le_bytes([e, f, g, h]));
    low + ((((1 << 21) - 1) & high) << 32)
}

pub(crate) fn user_id_of_anonymous(anonymous_id: &str) -> u64 {
    user_id_of(&format!("anon:{anonymous_id}"))
}

/// An email as identifier is a name space of its own, since an email never merges users.
pub(crate) fn user_id_of_email(email: &str) -> u64 {
    user_id_of(&format!("email:{email}"))
}

/// An idempotency key in 64 bits: ten million keys meet a false duplicate with a chance of 3 in a
/// million.
pub(crate) fn key_hash(key: &str) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(key.as_bytes());
    hasher.finish()
}

/// A small generator of numbers that look random and are the same for the same seed (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Numbers {
        Numbers(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In 0 … 1, without 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_ids_follow_heaps_formula() {
        assert_eq!(user_id_of("anon-1"), 6932746242181807);
        assert_eq!(user_id_of("ada@example.com"), 5742933229122622);
    }
}
