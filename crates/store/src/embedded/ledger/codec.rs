//! Bytes of a settlement in a ledger file.
//!
//! Numbers are LEB128 ("varint"); signed ones zigzag. Names that repeat are *words*: numbers of
//! rows in the file's table `word`.
//!
//! A settlement is: revision; number of deliveries; the deliveries. A delivery is: the word of its
//! action; one byte with its outcome (0 pending, 1 held, 2 delivered, 3 filtered, 4 refused,
//! 5 failed, 6 expired) and flags from 8 up; the word of its code; the byte of its steps; its time
//! (the first signed, each other as the signed difference to the one before); then, if flagged: 8
//! its sentence; 16 its requests (how many; the first; each other as the signed difference to the
//! one before); 32 the 16 bytes of its digest; 64 its notices (how many; each); 128 its own revision.
//! A text is its length in bytes and UTF-8.

use std::sync::Arc;

use crate::{Delivery, Outcome};

const SENTENCE: u8 = 8;
const REQUESTS: u8 = 16;
const DIGEST: u8 = 32;
const NOTICES: u8 = 64;
const REVISION: u8 = 128;

const OUTCOMES: [Outcome; 7] = [
    Outcome::Pending,
    Outcome::Held,
    Outcome::Delivered,
    Outcome::Filtered,
    Outcome::Refused,
    Outcome::Failed,
    Outcome::Expired,
];

/// The bit of an outcome in the column `outcomes`.
pub(super) fn bit(outcome: Outcome) -> i64 {
    1 << number(outcome)
}

/// The number of an outcome.
pub(super) fn number(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Pending => 0,
        Outcome::Held => 1,
        Outcome::Delivered => 2,
        Outcome::Filtered => 3,
        Outcome::Refused => 4,
        Outcome::Failed => 5,
        Outcome::Expired => 6,
    }
}

/// Writes a settlement to `out`. `word` gives the number of a word.
pub(super) fn encode<E>(
    out: &mut Vec<u8>,
    revision: u64,
    deliveries: &[Delivery],
    mut word: impl FnMut(&Arc<str>) -> Result<u64, E>,
) -> Result<(), E> {
    unsigned(out, revision);
    unsigned(out, deliveries.len() as u64);
    let mut last_at = 0;
    for delivery in deliveries {
        let Delivery { action, outcome, code: why, sentence, .. } = delivery;
        let Delivery { steps_done, requests, digest, notices, at, revision: own, .. } = delivery;
        unsigned(out, word(action)?);
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        out.push(
            number(*outcome)
                | flag(!sentence.is_empty(), SENTENCE)
                | flag(!requests.is_empty(), REQUESTS)
                | flag(digest != &[0; 16], DIGEST)
                | flag(!notices.is_empty(), NOTICES)
                | flag(own.is_some(), REVISION),
        );
        unsigned(out, word(why)?);
        out.push(*steps_done);
        signed(out, at.wrapping_sub(last_at));
        last_at = *at;
        if !sentence.is_empty() {
            text(out, sentence);
        }
        if let Some((first, others)) = requests.split_first() {
            unsigned(out, requests.len() as u64);
            unsigned(out, *first);
            let mut last = *first;
            for request in others {
                signed(out, request.wrapping_sub(last) as i64);
                last = *request;
            }
        }
        if digest != &[0; 16] {
            out.extend_from_slice(digest);
        }
        if !notices.is_empty() {
            unsigned(out, notices.len() as u64);
            notices.iter().for_each(|notice| text(out, notice));
        }
        if let Some(own) = own {
            unsigned(out, *own);
        }
    }
    Ok(())
}

/// Reads what [`encode`] wrote: revision and deliveries. `None` if it is something else, or `word`
/// doesn't know a word.
pub(super) fn decode(
    bytes: &[u8],
    word: impl Fn(u64) -> Option<Arc<str>>,
) -> Option<(u64, Vec<Delivery>)> {
    let mut rest = bytes;
    let rest = &mut rest;
    let revision = take_unsigned(rest)?;
    let count = take_unsigned(rest)?;
    let mut deliveries = Vec::new();
    let mut last_at = 0_i64;
    for _ in 0..count {
        let action = word(take_unsigned(rest)?)?;
        let flags = take_byte(rest)?;
        let outcome = *OUTCOMES.get(usize::from(flags & 7))?;
        let code = word(take_unsigned(rest)?)?;
        let steps_done = take_byte(rest)?;
        let at = last_at.wrapping_add(take_signed(rest)?);
        last_at = at;
        let sentence = if flags & SENTENCE == 0 { "".into() } else { take_text(rest)? };
        let mut requests = Vec::new();
        if flags & REQUESTS != 0 {
            let others = take_unsigned(rest)?.checked_sub(1)?;
            let mut last = take_unsigned(rest)?;
            requests.push(last);
            for _ in 0..others {
                last = last.wrapping_add(take_signed(rest)? as u64);
                requests.push(last);
            }
        }
        let mut digest = [0; 16];
        if flags & DIGEST != 0 {
            digest = take(rest, 16)?.try_into().ok()?;
        }
        let mut notices = Vec::new();
        if flags & NOTICES != 0 {
            for _ in 0..take_unsigned(rest)? {
                notices.push(take_text(rest)?);
            }
        }
        let own = if flags & REVISION == 0 { None } else { Some(take_unsigned(rest)?) };
        deliveries.push(Delivery {
            action,
            outcome,
            code,
            sentence,
            steps_done,
            requests,
            digest,
            notices,
            at,
            revision: own,
        });
    }
    rest.is_empty().then_some((revision, deliveries))
}

fn unsigned(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn signed(out: &mut Vec<u8>, number: i64) {
    unsigned(out, ((number << 1) ^ (number >> 63)) as u64);
}

fn text(out: &mut Vec<u8>, text: &str) {
    unsigned(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(taken)
}

fn take_byte(rest: &mut &[u8]) -> Option<u8> {
    take(rest, 1)?.first().copied()
}

fn take_unsigned(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take_byte(rest)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn take_signed(rest: &mut &[u8]) -> Option<i64> {
    let number = take_unsigned(rest)?;
    Some((number >> 1) as i64 ^ -((number & 1) as i64))
}

fn take_text(rest: &mut &[u8]) -> Option<Box<str>> {
    let len = usize::try_from(take_unsigned(rest)?).ok()?;
    Some(std::str::from_utf8(take(rest, len)?).ok()?.into())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn delivery() -> impl Strategy<Value = Delivery> {
        let text = "[a-zé]{0,9}";
        let head = (text, 0..7_usize, text, text, any::<u8>());
        let tail = (
            proptest::collection::vec(any::<u64>(), 0..4),
            prop_oneof![Just([0; 16]), any::<[u8; 16]>()],
            proptest::collection::vec(text, 0..3),
            any::<i64>(),
            any::<Option<u64>>(),
        );
        (head, tail).prop_map(|(head, (requests, digest, notices, at, revision))| Delivery {
            action: head.0.into(),
            outcome: OUTCOMES[head.1],
            code: head.2.into(),
            sentence: head.3.into(),
            steps_done: head.4,
            requests,
            digest,
            notices: notices.into_iter().map(Into::into).collect(),
            at,
            revision,
        })
    }

    proptest! {
        #[test]
        fn reads_back_what_it_wrote_and_never_a_part_of_it(
            revision: u64,
            deliveries in proptest::collection::vec(delivery(), 0..4),
        ) {
            let mut words: Vec<Arc<str>> = Vec::new();
            let mut bytes = Vec::new();
            encode(&mut bytes, revision, &deliveries, |word| {
                words.push(word.clone());
                Ok::<_, ()>(words.len() as u64 - 1)
            }).unwrap();
            let words: HashMap<u64, Arc<str>> = (0..).zip(words).collect();
            let read = |bytes: &[u8]| decode(bytes, |word| words.get(&word).cloned());
            prop_assert_eq!(read(&bytes), Some((revision, deliveries)));
            for len in 0..bytes.len() {
                prop_assert_eq!(read(&bytes[..len]), None);
            }
        }
    }
}
