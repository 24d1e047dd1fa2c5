//! What the disk allows: a bare writer that makes groups of bytes durable, one after the other.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

/// Size of the file that is written over and over, as journals recycle their segments.
const FILE: usize = 64 << 20;

/// How many groups of `bytes` can be made durable in a second, by one writer.
pub(crate) fn commits_per_second(scratch: &Path, bytes: usize, time: Duration) -> Result<f64> {
    let dir = tempfile::tempdir_in(scratch)?;
    let file = File::create(dir.path().join("bare"))?;
    file.write_all_at(&vec![0; FILE], 0)?;
    file.sync_all()?;
    let group = vec![b'x'; bytes];
    let (mut at, mut commits) = (0, 0_u32);
    let begun = Instant::now();
    while begun.elapsed() < time {
        if at + bytes > FILE {
            at = 0;
        }
        file.write_all_at(&group, u64::try_from(at)?)?;
        file.sync_data()?;
        at += bytes;
        commits += 1;
    }
    Ok(f64::from(commits) / begun.elapsed().as_secs_f64())
}
