//! One pass over an item's JSON text for what must be known before it is cut into members.

/// What the pass found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Deepest nesting; a lone object is 1.
    pub(super) depth: usize,
    /// Some number is beyond the range of a double, so that no reader could take it.
    pub(super) huge_number: bool,
}

/// `json` must be valid JSON.
pub(super) fn inspect(json: &str) -> Shape {
    let bytes = json.as_bytes();
    let mut shape = Shape { depth: 0, huge_number: false };
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_text(bytes, at + 1),
            b'{' | b'[' => {
                depth += 1;
                shape.depth = shape.depth.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'0'..=b'9' => {
                let rest = bytes.get(at..).unwrap_or_default();
                let length = rest.iter().take_while(|b| is_number(**b)).count();
                let number = json.get(at..at + length).unwrap_or_default();
                shape.huge_number |= is_huge(number);
                at += length;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    shape
}

/// Where the closing quote is.
fn end_of_text(bytes: &[u8], mut at: usize) -> usize {
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

fn is_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')
}

fn is_huge(number: &str) -> bool {
    const DIGITS_OF_LARGEST: usize = 309;
    let may_be = number.len() >= DIGITS_OF_LARGEST || number.contains(['e', 'E']);
    may_be && number.parse::<f64>().is_ok_and(f64::is_infinite)
}
