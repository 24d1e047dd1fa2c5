//! The correction of a client's clock.

use heapline_store::Millis;

/// `received - (sent - client)`: the moment on our clock at which the client made the call. `None`
/// if that lies outside the years 0000 to 9999.
pub(super) fn correct(received: Millis, sent: Millis, client: Millis) -> Option<Millis> {
    const FIRST: Millis = -62_167_219_200_000;
    const LAST: Millis = 253_402_300_799_999;
    let moment = received.checked_sub(sent.checked_sub(client)?)?;
    (FIRST..=LAST).contains(&moment).then_some(moment)
}
