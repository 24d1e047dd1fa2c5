//! Timestamps in the one form that is sent: `YYYY-MM-DDTHH:MM:SS.mmmZ`.

use heapline_action::datetime;
use heapline_action::plan::Refusal;
use heapline_action::value::Value;

use crate::settings::found;

/// The timestamp to send; `None` if there is none.
pub(super) fn of(value: Option<&Value<'_>>) -> Result<Option<String>, Refusal> {
    let value = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value,
    };
    match datetime::read(value) {
        Some(moment) => Ok(Some(datetime::print(moment))),
        None => {
            let sentence = format!("timestamp: expected a date, found {}.", found(value));
            Err(Refusal { code: "invalid_payload", sentence })
        }
    }
}
