//! The one thread that writes the journal: takes what is queued, drops duplicates, writes and syncs
//! it as one commit.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, SyncSender};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::Shared;
use super::index::{Filter, Index, bits};
use super::keeper::{Keep, SPARE};
use super::record::{FIRST_RECORD, SegmentHeader, size_of, write_record};
use super::segment::{Active, Lookup, Segment};
use super::tables::{MessageKey, Seen, Tables};
use crate::embedded::fs::{Fs, Handle, failed, is_full, write_all};
use crate::{AppendDone, Appended, Commit, Error, Millis, NewEvent};

/// Bytes of events after which no more appends are taken into a commit.
const COMMIT_BYTES: usize = 4 << 20;
/// Appends after which no more are taken into a commit.
const COMMIT_APPENDS: usize = 4_096;

/// How long a commit with fewer appends than the last one waits for more. Clients that were answered
/// together come back together, and a commit costs as much processor time as several appends.
const COMPANY: Duration = Duration::from_micros(300);

/// What the thread is told to do.
pub(crate) enum Command {
    Append(Append),
    /// Seal the segment and begin another; tell.
    Rotate(SyncSender<Result<(), Error>>),
}

/// Events with their keys, and whom to tell.
pub(crate) struct Append {
    events: Vec<(MessageKey, NewEvent)>,
    done: AppendDone,
}

impl Command {
    pub(crate) fn append(events: Vec<(MessageKey, NewEvent)>, done: AppendDone) -> Command {
        Command::Append(Append { events, done })
    }
}

impl Append {
    pub(crate) fn fail(self, error: Error) {
        (self.done)(Err(error));
    }
}

/// Message ids of a segment before the growing one.
enum Older {
    Index(Filter, Arc<Index>),
    Seen(Arc<Seen>),
}

/// See the [module](self).
pub(crate) struct Writer {
    shared: Arc<Shared>,
    keeper: Sender<Keep>,
    active: Active,
    /// Offset at which the next commit is written.
    end: u64,
    /// Message ids of the growing segment, also of the commit that is being made.
    seen: Seen,
    /// Newest first, with the base and the latest time of receipt of each.
    older: Vec<(u64, Millis, Older)>,
    generation: u64,
    poisoned: Option<String>,
    buffer: Vec<u8>,
}

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        active: Active,
        seen: Seen,
        keeper: Sender<Keep>,
    ) -> Writer {
        let end = active.segment.bounds().end;
        let generation = shared.generation.load(Ordering::Acquire).wrapping_sub(1);
        let (older, poisoned, buffer) = (Vec::new(), None, Vec::new());
        Writer { shared, keeper, active, end, seen, older, generation, poisoned, buffer }
    }

    /// Works until all senders are gone.
    pub(crate) fn run(mut self, commands: &Receiver<Command>) {
        let mut appends = Vec::new();
        let mut rotate = None;
        let mut last = 0;
        while let Ok(command) = commands.recv() {
            let (mut bytes, mut waited) = (0, false);
            let mut command = Some(command);
            while let Some(next) = command.take() {
                match next {
                    Command::Append(append) => {
                        bytes += append.events.iter().map(|(_, e)| size_of(e)).sum::<usize>();
                        appends.push(append);
                    }
                    Command::Rotate(told) => rotate = Some(told),
                }
                if bytes < COMMIT_BYTES && appends.len() < COMMIT_APPENDS && rotate.is_none() {
                    command = commands.try_recv().ok();
                    if command.is_none() && !waited && appends.len() < last {
                        waited = true;
                        std::thread::sleep(COMPANY);
                        command = commands.try_recv().ok();
                    }
                }
            }
            last = appends.len();
            if !appends.is_empty() {
                self.commit(std::mem::take(&mut appends), bytes as u64);
            }
            if let Some(told) = rotate.take() {
                // Whoever asked may have gone.
                told.send(self.rotate()).ok();
            }
        }
    }

    fn commit(&mut self, appends: Vec<Append>, bytes: u64) {
        match self.store(&appends, bytes) {
            Ok(appended) => {
                let mut appended = appended.into_iter();
                for append in appends {
                    let his = appended.by_ref().take(append.events.len()).collect();
                    (append.done)(Ok(his));
                }
                let next = self.shared.next.load(Ordering::Acquire);
                let wakes = self.shared.wakes.read().unwrap_or_else(PoisonError::into_inner);
                wakes.iter().for_each(|wake| wake(next));
            }
            Err(error) => {
                if let Error::Poisoned(what) = &error {
                    self.poisoned.get_or_insert_with(|| what.clone());
                }
                appends.into_iter().for_each(|append| append.fail(error.clone()));
            }
        }
    }

    /// Makes all that isn't a duplicate durable, or nothing.
    fn store(&mut self, appends: &[Append], bytes: u64) -> Result<Vec<Appended>, Error> {
        if let Some(what) = &self.poisoned {
            return Err(Error::Poisoned(what.clone()));
        }
        if FIRST_RECORD + bytes > u64::from(u32::MAX) {
            return Err(Error::Io("one append of 4 GB or more can't be stored".into()));
        }
        let room = u64::from(self.shared.settings.segment_bytes).saturating_sub(self.end);
        if bytes > room && self.end > FIRST_RECORD {
            self.rotate()?;
        }
        self.look_again();
        let mut undo = Vec::new();
        let stored = self.decide(appends, &mut undo).and_then(|(appended, new)| {
            if !new.is_empty() {
                self.write(&new)?;
            }
            Ok(appended)
        });
        if stored.is_err() {
            for (key, before) in undo.into_iter().rev() {
                match before {
                    Some(before) => self.seen.insert(key, before),
                    None => self.seen.remove(&key),
                };
            }
        }
        stored
    }

    /// Tells duplicates from new events, in order; notes the new ones as seen.
    #[expect(clippy::type_complexity, reason = "two lists, taken apart at once")]
    fn decide<'a>(
        &mut self,
        appends: &'a [Append],
        undo: &mut Vec<(MessageKey, Option<(u32, Millis)>)>,
    ) -> Result<(Vec<Appended>, Vec<(MessageKey, &'a NewEvent)>), Error> {
        let base = self.active.segment.base;
        let first = self.active.segment.bounds().count;
        let window = self.shared.settings.dedup_window;
        let mut appended = Vec::new();
        let mut new: Vec<(MessageKey, &NewEvent)> = Vec::new();
        for (key, event) in appends.iter().flat_map(|append| &append.events) {
            let recent = |at: Millis| event.received_at.saturating_sub(at) <= window;
            let before = self.seen.get(key).copied();
            let duplicate = match before {
                Some((ordinal, at)) => recent(at).then_some(base + u64::from(ordinal)),
                None => self.seen_before(*key, recent)?,
            };
            if let Some(seq) = duplicate {
                appended.push(Appended::Duplicate(seq));
                continue;
            }
            let ordinal = first + new.len() as u32;
            undo.push((*key, before));
            self.seen.insert(*key, (ordinal, event.received_at));
            new.push((*key, event));
            appended.push(Appended::Stored(base + u64::from(ordinal)));
        }
        Ok((appended, new))
    }

    /// The place of the latest event with this key in the sealed segments, if it is `recent`.
    fn seen_before(
        &self,
        key: MessageKey,
        recent: impl Fn(Millis) -> bool,
    ) -> Result<Option<u64>, Error> {
        let bits = bits(key);
        for (base, newest, older) in &self.older {
            if !recent(*newest) {
                continue;
            }
            let found = match older {
                Older::Index(filter, _) if !filter.may_have(key, &bits) => None,
                Older::Index(_, index) => match index.message(&*self.shared.fs, key) {
                    Err(_) if *base < self.shared.first.load(Ordering::Acquire) => None,
                    found => found?,
                },
                Older::Seen(seen) => seen.get(&key).copied(),
            };
            if let Some((ordinal, at)) = found {
                return Ok(recent(at).then_some(base + u64::from(ordinal)));
            }
        }
        Ok(None)
    }

    fn write(&mut self, new: &[(MessageKey, &NewEvent)]) -> Result<(), Error> {
        let segment = self.active.segment.clone();
        let next = segment.next();
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let mut ends = Vec::with_capacity(new.len());
        for (index, (_, event)) in new.iter().enumerate() {
            let place = (next + index as u64, index as u32, (new.len() - 1 - index) as u32);
            write_record(&mut buffer, segment.salt, place, Some(event));
            ends.push(self.end + buffer.len() as u64);
        }
        let begun = Instant::now();
        let written = self.write_durably(&buffer);
        let bytes = buffer.len();
        // A huge commit must not hold its memory for ever.
        if buffer.capacity() <= 2 * COMMIT_BYTES {
            self.buffer = buffer;
        }
        let wrote = written?;
        let sync = begun.elapsed() - wrote;

        self.end += bytes as u64;
        if let Lookup::Tables(tables) =
            &mut *segment.lookup.write().unwrap_or_else(PoisonError::into_inner)
        {
            for ((key, event), end) in new.iter().zip(ends) {
                tables.push(self.shared.key, Some((event, *key)), end);
            }
        }
        self.shared.next.store(segment.next(), Ordering::Release);
        if let Some(observer) = &self.shared.settings.observer {
            observer(Commit { events: new.len(), bytes, write: wrote, sync });
        }
        Ok(())
    }

    /// Says how long writing took, without the fsync.
    fn write_durably(&mut self, bytes: &[u8]) -> Result<std::time::Duration, Error> {
        let Active { segment, file } = &self.active;
        let begun = Instant::now();
        if let Err(error) = write_all(&**file, bytes, self.end) {
            let full = is_full(&error);
            let text = format!("cannot write {}: {error}", segment.path.display());
            // What was written in part is cut off: the next commit begins at the same place.
            return Err(match file.set_len(self.end) {
                Ok(()) if full => Error::Full(text),
                Ok(()) | Err(_) => Error::Poisoned(text),
            });
        }
        let wrote = begun.elapsed();
        file.sync()
            .map_err(|e| Error::Poisoned(format!("cannot sync {}: {e}", segment.path.display())))?;
        Ok(wrote)
    }

    /// Seals the segment and begins the next one. On an error nothing has changed.
    fn rotate(&mut self) -> Result<(), Error> {
        let old = self.active.segment.clone();
        let base = old.next();
        if base == old.base {
            return Ok(());
        }
        let (path, salt) = (segment_path(&self.shared.dir, base), random()?);
        let file = self.begin(&path, SegmentHeader { base, salt })?;
        let segment = Arc::new(Segment::new(path, base, salt, Lookup::Tables(Tables::new())));
        *old.seen.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Arc::new(std::mem::take(&mut self.seen)));
        (self.shared.segments.write().unwrap_or_else(PoisonError::into_inner))
            .push(segment.clone());
        self.shared.changed();
        self.active = Active { segment, file };
        self.end = FIRST_RECORD;
        // Without a keeper the segment stays in memory and is indexed at the next open.
        self.keeper.send(Keep::Sealed(old)).ok();
        Ok(())
    }

    /// Makes the file of a segment, of the spare one if there is one.
    fn begin(&self, path: &Path, header: SegmentHeader) -> Result<Arc<dyn Handle>, Error> {
        let mut has_spare = self.shared.spare.lock().unwrap_or_else(PoisonError::into_inner);
        begin_segment(&*self.shared.fs, &self.shared.dir, path, header, &mut has_spare)
    }

    /// Takes notice of segments that were sealed, indexed or dropped.
    fn look_again(&mut self) {
        let generation = self.shared.generation.load(Ordering::Acquire);
        if generation == self.generation {
            return;
        }
        self.generation = generation;
        let segments = self.shared.segments.read().unwrap_or_else(PoisonError::into_inner);
        self.older = segments
            .iter()
            .rev()
            .skip(1)
            .filter_map(|segment| {
                let newest = segment.bounds().newest;
                let lookup = segment.lookup.read().unwrap_or_else(PoisonError::into_inner);
                let older = match &*lookup {
                    Lookup::Index(index) => Older::Index(index.filter.clone(), index.clone()),
                    Lookup::Tables(_) => {
                        let seen = segment.seen.lock().unwrap_or_else(PoisonError::into_inner);
                        Older::Seen(seen.clone()?)
                    }
                };
                Some((segment.base, newest, older))
            })
            .collect();
    }
}

/// Makes the file of a segment, of the spare one if there is one.
pub(crate) fn begin_segment(
    fs: &dyn Fs,
    dir: &Path,
    path: &Path,
    header: SegmentHeader,
    has_spare: &mut bool,
) -> Result<Arc<dyn Handle>, Error> {
    let from = dir.join(if *has_spare { SPARE } else { "new.tmp" });
    let open = if *has_spare { fs.open(&from) } else { fs.create(&from) };
    *has_spare = false;
    let begin = |file: Arc<dyn Handle>| -> io::Result<_> {
        write_all(&*file, &header.bytes(), 0)?;
        file.sync()?;
        fs.rename(&from, path)?;
        fs.sync_dir(dir)?;
        Ok(file)
    };
    open.and_then(begin).map_err(failed("begin a segment of the journal", path))
}

/// Where the segment with this base lies.
pub(crate) fn segment_path(dir: &Path, base: u64) -> PathBuf {
    dir.join(format!("{base:020}.log"))
}

pub(crate) fn random() -> Result<u64, Error> {
    getrandom::u64().map_err(|e| Error::Io(format!("the system gives no random numbers: {e}")))
}
