//! A body's bytes made text: unpacked under a cap, UTF-8, no byte order mark, no lone surrogates.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use heapline_action::value::mend_surrogates;

use super::answer::{Code, Fault};

/// Undoes `Content-Encoding`. At most `limit` bytes come out.
pub(super) fn unpack<'a>(
    body: &'a [u8],
    encoding: Option<&str>,
    limit: usize,
) -> Result<Cow<'a, [u8]>, Fault> {
    let encoding = encoding.map(str::trim).unwrap_or_default();
    if encoding.is_empty() || encoding.eq_ignore_ascii_case("identity") {
        return Ok(Cow::Borrowed(body));
    }
    if !encoding.eq_ignore_ascii_case("gzip") && !encoding.eq_ignore_ascii_case("x-gzip") {
        let found = format!("{:?}", encoding.chars().take(40).collect::<String>());
        return Err(Fault::new(Code::Malformed, "Content-Encoding", "gzip or none", found));
    }
    let mut unpacked = Vec::with_capacity(limit.min(body.len().saturating_mul(8)));
    let cap = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    match MultiGzDecoder::new(body).take(cap).read_to_end(&mut unpacked) {
        Ok(_) if unpacked.len() > limit => Err(Fault::new(
            Code::TooLarge,
            "body",
            format!("at most {limit} bytes unpacked"),
            "more".to_owned(),
        )),
        Ok(_) => Ok(Cow::Owned(unpacked)),
        Err(e) => {
            let found = format!("other or incomplete data ({e})");
            Err(Fault::new(Code::Malformed, "body", "gzip data, as Content-Encoding says", found))
        }
    }
}

/// The text of an unpacked body.
pub(super) struct Text<'a> {
    /// As it came, without a byte order mark.
    pub(super) raw: &'a str,
    /// With each lone surrogate escape replaced by U+FFFD, if there was any. Same length as `raw`.
    pub(super) mended: Option<String>,
}

impl<'a> Text<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Text<'a>, Fault> {
        let raw = std::str::from_utf8(bytes).map_err(|e| {
            let found = format!("another byte at position {}", e.valid_up_to());
            Fault::new(Code::Malformed, "body", "JSON in UTF-8", found)
        })?;
        let raw = raw.strip_prefix('\u{feff}').unwrap_or(raw);
        let mended = if raw.contains("\\u") { mend_surrogates(raw) } else { None };
        Ok(Text { raw, mended })
    }

    pub(super) fn as_str(&self) -> &str {
        self.mended.as_deref().unwrap_or(self.raw)
    }

    /// True if something in `part`, a piece of [`Text::as_str`], was replaced.
    pub(super) fn is_mended(&self, part: &str) -> bool {
        let Some(mended) = &self.mended else { return false };
        let start = (part.as_ptr() as usize).wrapping_sub(mended.as_ptr() as usize);
        let before = self.raw.as_bytes().get(start..start.saturating_add(part.len()));
        before != Some(part.as_bytes())
    }
}
