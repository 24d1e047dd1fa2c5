//! A file system in memory that fails when it is told to, and loses what wasn't synced.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::embedded::fs::{Fs, Handle};

#[derive(Clone, Default)]
pub(super) struct MemFs(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    files: BTreeMap<PathBuf, Arc<Mutex<Contents>>>,
    faults: Faults,
}

/// What goes wrong from now on.
#[derive(Clone, Copy, Default)]
pub(super) struct Faults {
    /// Files can't grow beyond so many bytes in all.
    pub(super) capacity: Option<usize>,
    /// A write writes at most so many bytes.
    pub(super) short_writes: Option<usize>,
    /// Each write fails.
    pub(super) writes: bool,
    /// Each fsync fails.
    pub(super) syncs: bool,
}

#[derive(Clone, Default)]
struct Contents {
    /// What a reader sees.
    now: Vec<u8>,
    /// Bytes, from the first to below the second, that the system means to write to the disk.
    dirty: Option<(usize, usize)>,
    /// What survives for certain.
    synced: Vec<u8>,
}

struct MemFile {
    fs: MemFs,
    contents: Arc<Mutex<Contents>>,
}

impl MemFs {
    pub(super) fn fail(&self, faults: Faults) {
        self.state().faults = faults;
    }

    pub(super) fn used(&self) -> usize {
        self.state().files.values().map(|file| file.lock().unwrap().now.len()).sum()
    }

    /// The file system after a loss of power: of each 512 bytes that weren't synced, `keeps` says
    /// whether they got to the disk.
    pub(super) fn crash(&self, mut keeps: impl FnMut() -> bool) -> MemFs {
        let after = MemFs::default();
        for (path, file) in &self.state().files {
            let Contents { now, mut synced, .. } = file.lock().unwrap().clone();
            synced.resize(now.len(), 0);
            for (new, old) in now.chunks(512).zip(synced.chunks_mut(512)) {
                if new != old && keeps() {
                    old.copy_from_slice(new);
                }
            }
            let contents = Contents { now: synced.clone(), dirty: None, synced };
            after.state().files.insert(path.clone(), Arc::new(Mutex::new(contents)));
        }
        after
    }

    pub(super) fn copy(&self) -> MemFs {
        self.crash(|| true)
    }

    pub(super) fn change(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let file = self.file(path).unwrap();
        let mut contents = file.lock().unwrap();
        change(&mut contents.now);
        contents.synced = contents.now.clone();
    }

    pub(super) fn contents(&self, path: &Path) -> Vec<u8> {
        self.file(path).unwrap().lock().unwrap().now.clone()
    }

    pub(super) fn names(&self) -> Vec<PathBuf> {
        self.state().files.keys().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn file(&self, path: &Path) -> io::Result<Arc<Mutex<Contents>>> {
        self.state().files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Fs for MemFs {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn Handle>> {
        Ok(Arc::new(MemFile { fs: self.clone(), contents: self.file(path)? }))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn Handle>> {
        let contents = Arc::<Mutex<Contents>>::default();
        self.state().files.insert(path.into(), contents.clone());
        Ok(Arc::new(MemFile { fs: self.clone(), contents }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let file = state.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.files.insert(to.into(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.state().files.remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        Ok(self.file(path)?.lock().unwrap().now.len() as u64)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let names = self.names();
        let names = names.iter().filter(|path| path.parent() == Some(dir));
        Ok(names.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect())
    }
}

impl Handle for MemFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let contents = self.contents.lock().unwrap();
        let rest = contents.now.get(offset as usize..).unwrap_or_default();
        // Short reads are always right.
        let len = rest.len().min(buf.len()).min(1 + buf.len() / 2);
        buf[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let (used, faults) = (self.fs.used(), self.fs.state().faults);
        if faults.writes {
            return Err(io::Error::other("this disk is made to fail"));
        }
        let mut contents = self.contents.lock().unwrap();
        let (offset, mut len) = (offset as usize, buf.len());
        len = len.min(faults.short_writes.unwrap_or(len));
        if let Some(capacity) = faults.capacity {
            let most = contents.now.len() + capacity.saturating_sub(used);
            len = len.min(most.saturating_sub(offset));
            if len == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        if contents.now.len() < offset + len {
            contents.now.resize(offset + len, 0);
        }
        contents.now[offset..offset + len].copy_from_slice(&buf[..len]);
        let (from, to) = contents.dirty.unwrap_or((offset, offset));
        contents.dirty = Some((from.min(offset), to.max(offset + len)));
        Ok(len)
    }

    fn sync(&self) -> io::Result<()> {
        let fails = self.fs.state().faults.syncs;
        let Contents { now, dirty, synced } = &mut *self.contents.lock().unwrap();
        // Like Linux: after a failure the pages are taken for clean.
        let dirty = dirty.take();
        if fails {
            return Err(io::Error::other("this disk is made to fail"));
        }
        if let Some((from, to)) = dirty {
            let to = to.min(now.len());
            synced.resize(synced.len().max(to), 0);
            synced[from.min(to)..to].copy_from_slice(&now[from.min(to)..to]);
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.contents.lock().unwrap().now.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut contents = self.contents.lock().unwrap();
        contents.now.resize(len as usize, 0);
        let kept = contents.synced.len().min(len as usize);
        contents.synced.truncate(kept);
        Ok(())
    }
}
