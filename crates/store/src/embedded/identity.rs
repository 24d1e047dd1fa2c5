//! The file `store`: what a directory is, and the key of its hashes.
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | `heapline` |
//! | 8..12 | format version, 1 |
//! | 12..16 | crc32 of bytes 0..12 and 16..32 |
//! | 16..32 | key of all hashes in the journal's indexes |

use std::path::Path;

use super::fs::{Fs, failed, read_up_to, replace};
use super::journal::HashKey;
use crate::Error;

const MAGIC: &[u8; 8] = b"heapline";
const VERSION: u32 = 1;
const LEN: usize = 32;

/// Reads the file; makes it if there is none.
pub(crate) fn read_or_make(fs: &dyn Fs, path: &Path) -> Result<HashKey, Error> {
    match read(fs, path)? {
        Some(key) => Ok(key),
        None => make(fs, path),
    }
}

/// Reads the file; `None` if there is none.
pub(crate) fn read(fs: &dyn Fs, path: &Path) -> Result<Option<HashKey>, Error> {
    let file = match fs.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("open", path)(error)),
    };
    let mut bytes = [0; LEN];
    let filled = read_up_to(&*file, &mut bytes, 0).map_err(failed("read", path))?;
    let head = bytes.get(..12).unwrap_or_default();
    let number = |at: usize| bytes.get(at..at + 8).and_then(|b| b.try_into().ok());
    let key = [16, 24].map(|at| number(at).map_or(0, u64::from_le_bytes));
    let damaged = |what: &str| {
        let file = path.display().to_string();
        Err(Error::Damaged { file, offset: 0, what: what.into() })
    };
    if filled < LEN || bytes.get(..8) != Some(MAGIC) {
        return damaged("this isn't a directory of Heapline");
    }
    if bytes.get(8..12) != Some(&VERSION.to_le_bytes()) {
        return damaged("its format version isn't 1, the only one this program knows");
    }
    if bytes.get(12..16) != Some(&crc(head, key).to_le_bytes()) {
        return damaged("its checksum is wrong");
    }
    Ok(Some(HashKey(key)))
}

/// Writes the file with a new key: all indexes are made anew at the next opening.
pub(crate) fn make(fs: &dyn Fs, path: &Path) -> Result<HashKey, Error> {
    let random = || {
        getrandom::u64().map_err(|e| Error::Io(format!("the system gives no random numbers: {e}")))
    };
    let key = [random()?, random()?];
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    let crc = crc(&bytes, key);
    bytes.extend_from_slice(&crc.to_le_bytes());
    key.iter().for_each(|half| bytes.extend_from_slice(&half.to_le_bytes()));
    replace(fs, path, &bytes).map_err(failed("write", path))?;
    Ok(HashKey(key))
}

fn crc(head: &[u8], key: [u64; 2]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(head);
    key.iter().for_each(|half| crc.update(&half.to_le_bytes()));
    crc.finalize()
}
