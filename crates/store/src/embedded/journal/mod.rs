//! The journal: a log of events in segment files. Format version 1.
//!
//! A segment is a file `journal/<base>.log`, where the base is the place of its first record in 20
//! digits. All but the last are sealed: nothing is ever written to them. Beside a sealed segment
//! lies its index, `<base>.idx` (see [`index`]). `spare` is a file for the next segment. All
//! numbers are little-endian.
//!
//! A segment begins with its header, twice:
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | `heapjrnl` |
//! | 8..12 | format version, 1 |
//! | 12..16 | crc32 of bytes 0..12 and 16..32 |
//! | 16..24 | base |
//! | 24..32 | salt: a random number |
//! | 32..64 | the same again |
//!
//! Then records without gaps, each beginning at a multiple of 8, filled up with zeros:
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | bytes of payload; 0: the event was lost to damage and mended away |
//! | 4..8 | crc32 of salt, bytes 0..4, bytes 8..24 and payload |
//! | 8..16 | place of the event |
//! | 16..20 | records before it in its commit |
//! | 20..24 | records after it in its commit |
//! | 24..32 | payload: time of receipt, milliseconds since 1970 |
//! | 32..52 | lengths of source, message id, user id, anonymous id, name (4 bytes each; all ones: there is none) |
//! | 52.. | these strings, then the event's JSON up to the end of the payload |
//!
//! Behind the last record of the last segment lies anything: zeros, or what an earlier segment left
//! in the file. The salt tells such records from its own.
//!
//! A commit is written whole and made durable with one fsync before the next one is written, and
//! before anybody hears of it. So at opening, the last segment is walked: records up to the end of
//! the last whole commit are its contents. If a record of a *later* commit lies behind, the place
//! between was once durable: that is damage, and a loud error. Otherwise what lies behind is a torn
//! commit, of which nobody has heard: it is overwritten with zeros.

pub(crate) mod doctor;
mod index;
mod keeper;
mod open;
mod reader;
mod record;
mod segment;
mod tables;
#[cfg(test)]
mod tests;
mod walk;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

pub(crate) use index::IdKind;
pub(crate) use reader::JournalReader;
pub(crate) use record::{Sources, read_event, write_event};
pub(crate) use segment::Segment;
pub(crate) use tables::HashKey;

use crate::embedded::fs::{Fs, failed};
use crate::{AppendDone, Error, Extent, Millis, NewEvent, Seq, Settings, StoredEvent};
use keeper::Keep;
use writer::Command;

/// See the [module](self).
pub(crate) struct Journal {
    shared: Arc<Shared>,
    commands: RwLock<Option<SyncSender<Command>>>,
    keeper: Mutex<Option<Sender<Keep>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    retaining: Mutex<()>,
}

type Wake = Box<dyn Fn(Seq) + Send + Sync>;

/// What the threads of a journal share.
pub(crate) struct Shared {
    dir: PathBuf,
    fs: Arc<dyn Fs>,
    settings: Settings,
    key: HashKey,
    /// By base; never empty. The last one grows.
    segments: RwLock<Vec<Arc<Segment>>>,
    /// Changes whenever `segments` or the way to look one up does.
    generation: AtomicU64,
    first: AtomicU64,
    next: AtomicU64,
    /// True if the file `spare` is fit for use.
    spare: Mutex<bool>,
    wakes: RwLock<Vec<Wake>>,
}

impl Journal {
    /// Opens the journal in `dir`, which must exist.
    pub(crate) fn open(
        fs: Arc<dyn Fs>,
        dir: PathBuf,
        key: HashKey,
        settings: Settings,
    ) -> Result<Journal, Error> {
        let (shared, active, seen) = open::open(fs, dir, key, settings)?;
        let shared = Arc::new(shared);
        let (commands, received) = sync_channel(shared.settings.queue.max(1));
        let (keeper, kept) = std::sync::mpsc::channel();
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            let thread = std::thread::Builder::new().name(name.into());
            thread.spawn(run).map_err(|e| Error::Io(format!("cannot start a thread: {e}")))
        };
        let for_keeper = shared.clone();
        let threads = vec![
            spawn("keeper", Box::new(move || keeper::run(&for_keeper, &kept)))?,
            spawn("journal", {
                let writer = writer::Writer::new(shared.clone(), active, seen, keeper.clone());
                Box::new(move || writer.run(&received))
            })?,
        ];
        Ok(Journal {
            shared,
            commands: RwLock::new(Some(commands)),
            keeper: Mutex::new(Some(keeper)),
            threads: Mutex::new(threads),
            retaining: Mutex::default(),
        })
    }

    pub(crate) fn append(&self, events: Vec<NewEvent>, done: AppendDone) {
        let events = events
            .into_iter()
            .map(|event| (self.shared.key.message(&event.source, &event.message_id), event))
            .collect();
        if let Err(Command::Append(append)) = self.command(Command::append(events, done)) {
            append.fail(Error::Closed);
        }
    }

    pub(crate) fn reader(&self, from: Seq) -> JournalReader {
        JournalReader::new(self.shared.clone(), from)
    }

    pub(crate) fn event(&self, seq: Seq) -> Result<Option<StoredEvent>, Error> {
        let Some(segment) = self.shared.segment(seq) else { return Ok(None) };
        let Some(ordinal) = seq.checked_sub(segment.base) else { return Ok(None) };
        let ordinal = ordinal as u32;
        if ordinal >= segment.bounds().count {
            return Ok(None);
        }
        let read = self.read(&segment, (ordinal, ordinal + 1), &mut Sources::default())?;
        Ok(read.into_iter().next())
    }

    /// Reads records of a segment; none if retention has dropped it meanwhile.
    pub(crate) fn read(
        &self,
        segment: &Segment,
        ordinals: (u32, u32),
        sources: &mut Sources,
    ) -> Result<Vec<StoredEvent>, Error> {
        match segment.events(&*self.shared.fs, ordinals, sources) {
            Err(_) if segment.base < self.first() => Ok(Vec::new()),
            read => read,
        }
    }

    /// Reads records of a segment, by ordinals that ascend; none if retention has dropped it
    /// meanwhile.
    pub(crate) fn pick(
        &self,
        segment: &Segment,
        ordinals: &[u32],
        sources: &mut Sources,
    ) -> Result<Vec<StoredEvent>, Error> {
        match segment.pick(&*self.shared.fs, ordinals, sources) {
            Err(_) if segment.base < self.first() => Ok(Vec::new()),
            picked => picked,
        }
    }

    /// Ordinals in `segment` of records with this id, ascending; a few may only have its hash.
    pub(crate) fn ids(&self, segment: &Segment, kind: IdKind, id: &str) -> Result<Vec<u32>, Error> {
        match segment.ids(&*self.shared.fs, self.shared.key, kind, id) {
            Err(_) if segment.base < self.first() => Ok(Vec::new()),
            found => found,
        }
    }

    /// All segments, oldest first.
    pub(crate) fn segments(&self) -> Vec<Arc<Segment>> {
        self.shared.segments.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn extent(&self) -> Extent {
        let Shared { first, next, fs, .. } = &*self.shared;
        // A file that is gone takes no space.
        let len = |path: &Path| fs.len(path).unwrap_or(0);
        let bytes = self.segments().iter().map(|s| len(&s.path) + len(&s.index_path())).sum();
        Extent { first: first.load(Ordering::Acquire), next: next.load(Ordering::Acquire), bytes }
    }

    fn first(&self) -> Seq {
        self.shared.first.load(Ordering::Acquire)
    }

    pub(crate) fn on_commit(&self, wake: Wake) {
        self.shared.wakes.write().unwrap_or_else(PoisonError::into_inner).push(wake);
    }

    /// Drops segments that the settings don't allow to be kept at `now`. Says which places, from
    /// the first to below the second.
    pub(crate) fn retain(&self, now: Millis) -> Result<(Seq, Seq), Error> {
        let _one_at_a_time = self.retaining.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.first();
        let horizon = now.saturating_sub(self.shared.settings.retention);
        let is_old = |segment: &Segment| {
            let bounds = segment.bounds();
            bounds.count > 0 && bounds.newest < horizon
        };
        if self.segments().last().is_some_and(|active| is_old(active)) {
            let (told, hears) = sync_channel(1);
            if self.command(Command::Rotate(told)).is_ok()
                && let Ok(rotated) = hears.recv()
            {
                rotated?;
            }
        }
        let is_too_much = || match self.segments().as_slice() {
            [oldest, _, ..] => {
                is_old(oldest) || self.extent().bytes > self.shared.settings.retention_bytes
            }
            [_] | [] => false,
        };
        while is_too_much() {
            self.shared.drop_oldest()?;
        }
        Ok((before, self.first()))
    }

    /// Commits what is queued, and stops.
    pub(crate) fn close(&self) {
        self.commands.write().unwrap_or_else(PoisonError::into_inner).take();
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A thread that panicked has said so; there is nothing left to stop.
            thread.join().ok();
        }
    }

    fn command(&self, command: Command) -> Result<(), Command> {
        let commands = self.commands.read().unwrap_or_else(PoisonError::into_inner);
        match &*commands {
            Some(commands) => commands.send(command).map_err(|unsent| unsent.0),
            None => Err(command),
        }
    }
}

impl Shared {
    /// The segment that has, or will have, the record of `seq`; the first one if it is dropped.
    fn segment(&self, seq: Seq) -> Option<Arc<Segment>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let after = segments.partition_point(|segment| segment.base <= seq);
        segments.get(after.saturating_sub(1)).cloned()
    }

    /// Drops the oldest segment, unless it is the growing one. Its file becomes the spare one if
    /// that is wanted.
    fn drop_oldest(&self) -> Result<(), Error> {
        let oldest = {
            let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
            let [_, second, ..] = segments.as_slice() else { return Ok(()) };
            self.first.store(second.base, Ordering::Release);
            segments.remove(0)
        };
        self.changed();
        let path = &oldest.path;
        // Without its index a segment is whole; the other way round it wouldn't be.
        match self.fs.remove(&oldest.index_path()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed("remove the index of", path)(error));
            }
            Ok(()) | Err(_) => {}
        }
        let mut has_spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = self.fs.len(path).is_ok_and(|len| len == u64::from(self.settings.segment_bytes));
        // Somebody who still reads the file must not see it change.
        if fits && !*has_spare && Arc::strong_count(&oldest) == 1 {
            self.fs.rename(path, &self.dir.join(keeper::SPARE)).map_err(failed("recycle", path))?;
            *has_spare = true;
        } else {
            self.fs.remove(path).map_err(failed("remove", path))?;
        }
        self.fs.sync_dir(&self.dir).map_err(failed("sync", &self.dir))
    }

    fn changed(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}
