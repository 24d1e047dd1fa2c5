//! Dates and times as events carry them, read to milliseconds and printed in one form.

use jiff::civil::{Date, date};
use jiff::{SignedDuration, fmt::rfc2822};

use crate::value::{Number, Value};

/// A moment in milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;

/// 0000-01-01T00:00:00.000Z
const FIRST: Millis = -62_167_219_200_000;
/// 9999-12-31T23:59:59.999Z
const LAST: Millis = 253_402_300_799_999;

const SECOND: Millis = 1000;
const MINUTE: Millis = 60 * SECOND;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;

const EPOCH: Date = date(1970, 1, 1);

/// Numbers below this are seconds, others milliseconds.
const SECONDS_BELOW: f64 = 1e11;

/// The moment that `value` says: a text of [`read_text`], or a number.
///
/// A number counts from 1970: seconds if its absolute value is below 1e11, else milliseconds.
/// `None` if it is no date, an impossible one such as 2021-02-30, or outside the years 0000 to
/// 9999.
pub fn read(value: &Value<'_>) -> Option<Millis> {
    match value {
        Value::Text(text) => read_text(text),
        Value::Number(number) => read_number(*number),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The moment that `text` says: RFC 3339, an ISO 8601 date or date-time (UTC if it names no zone;
/// extended or basic form), RFC 1123, or digits alone, which are read as a number. Fractions of a
/// second are cut after three digits. `None` as in [`read`].
pub fn read_text(text: &str) -> Option<Millis> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return read_number(text.parse().map(Number::Int).unwrap_or(Number::Float(f64::INFINITY)));
    }
    in_range(read_iso(text).or_else(|| read_rfc1123(text))?)
}

/// Prints `YYYY-MM-DDTHH:MM:SS.mmmZ`. Moments outside the years 0000 to 9999 are printed as the
/// nearest inside.
pub fn print(moment: Millis) -> String {
    let moment = moment.clamp(FIRST, LAST);
    let days = SignedDuration::from_hours(24 * moment.div_euclid(DAY));
    let day = EPOCH.checked_add(days).unwrap_or(EPOCH);
    let time = moment.rem_euclid(DAY);
    let mut out = String::with_capacity(24);
    let mut write = |number: i64, digits: u32, after: char| {
        for place in (0..digits).rev() {
            let digit = number / 10_i64.pow(place) % 10;
            out.push(char::from(b'0' + digit.unsigned_abs() as u8));
        }
        out.push(after);
    };
    write(day.year().into(), 4, '-');
    write(day.month().into(), 2, '-');
    write(day.day().into(), 2, 'T');
    write(time / HOUR, 2, ':');
    write(time / MINUTE % 60, 2, ':');
    write(time / SECOND % 60, 2, '.');
    write(time % SECOND, 3, 'Z');
    out
}

fn in_range(moment: Millis) -> Option<Millis> {
    (FIRST..=LAST).contains(&moment).then_some(moment)
}

fn read_number(number: Number) -> Option<Millis> {
    let n = number.as_f64();
    let millis = if n.abs() < SECONDS_BELOW { n * 1000.0 } else { n };
    // The cast saturates, and what it saturates to is out of range.
    in_range(millis.trunc() as Millis)
}

fn read_rfc1123(text: &str) -> Option<Millis> {
    static READER: rfc2822::DateTimeParser = rfc2822::DateTimeParser::new();
    // The reader takes comments and folded lines too; dates in events have neither.
    if text.contains(['(', '\r', '\n']) {
        return None;
    }
    READER.parse_timestamp(text).ok().map(|moment| moment.as_millisecond())
}

fn read_iso(text: &str) -> Option<Millis> {
    let mut scan = Scan(text.as_bytes());
    let year = scan.digits(4)?;
    let extended = scan.take(b"-").is_some();
    let month = scan.digits(2)?;
    if extended {
        scan.take(b"-")?;
    }
    let day = scan.digits(2)?;
    let date = Date::new(year as i16, month as i8, day as i8).ok()?;
    if scan.0.is_empty() {
        return moment(date, (0, 0, 0, 0), 0);
    }
    scan.take(b"Tt ")?;
    let hour = scan.digits(2)?;
    let colon = scan.take(b":").is_some();
    if colon != extended {
        return None;
    }
    let minute = scan.digits(2)?;
    let has_second = if colon { scan.take(b":").is_some() } else { scan.is_at_digit() };
    let (mut second, mut millisecond) = (0, 0);
    if has_second {
        second = scan.digits(2)?;
        if scan.take(b".,").is_some() {
            millisecond = scan.fraction()?;
        }
    }
    let offset = scan.zone()?;
    moment(date, (hour, minute, second, millisecond), offset)
}

/// The moment of a local date and time at `offset` minutes east of UTC.
fn moment(date: Date, time: (u32, u32, u32, u32), offset: i32) -> Option<Millis> {
    let (hour, minute, second, millisecond) = time;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let minutes = i64::from(hour * 60 + minute) - i64::from(offset);
    // A leap second can only be the last of a day in UTC; it is read as the one before it.
    if second == 60 && minutes.rem_euclid(24 * 60) != 24 * 60 - 1 {
        return None;
    }
    let midnight = date.duration_since(EPOCH).as_secs() * SECOND;
    let second = i64::from(second.min(59)) * SECOND;
    Some(midnight + minutes * MINUTE + second + i64::from(millisecond))
}

/// Reads a text byte by byte.
struct Scan<'t>(&'t [u8]);

impl Scan<'_> {
    /// Takes the next byte if it is one of `wanted`.
    fn take(&mut self, wanted: &[u8]) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        wanted.contains(&first).then(|| {
            self.0 = rest;
            first
        })
    }

    fn is_at_digit(&self) -> bool {
        self.0.first().is_some_and(u8::is_ascii_digit)
    }

    /// A number of exactly `count` digits.
    fn digits(&mut self, count: usize) -> Option<u32> {
        let (head, rest) = self.0.split_at_checked(count)?;
        let number = head.iter().try_fold(0, |number, byte| {
            byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0'))
        })?;
        self.0 = rest;
        Some(number)
    }

    /// The milliseconds of a fraction of at least one digit; further digits are cut.
    fn fraction(&mut self) -> Option<u32> {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at_checked(count).filter(|_| count > 0)?;
        self.0 = rest;
        let places = digits.iter().map(|byte| u32::from(byte - b'0')).chain(std::iter::repeat(0));
        Some(places.take(3).fold(0, |number, digit| number * 10 + digit))
    }

    /// The zone at the end of the text in minutes east of UTC; 0 if there is none.
    fn zone(&mut self) -> Option<i32> {
        let Some(sign) = self.take(b"Zz+-") else { return self.0.is_empty().then_some(0) };
        if matches!(sign, b'Z' | b'z') {
            return self.0.is_empty().then_some(0);
        }
        let hours = self.digits(2)?;
        self.take(b":");
        let minutes = if self.0.is_empty() { 0 } else { self.digits(2)? };
        if !self.0.is_empty() || hours > 23 || minutes > 59 {
            return None;
        }
        let minutes = i32::try_from(hours * 60 + minutes).ok()?;
        Some(if sign == b'-' { -minutes } else { minutes })
    }
}
