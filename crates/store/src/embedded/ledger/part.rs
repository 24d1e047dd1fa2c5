//! One file of the ledger: what became of the events of one range of places.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::codec::{self, bit};
use super::reasons::{self, Changes};
use super::sql::{self, failed};
use crate::{Error, RequestRecord, Seq, Settlement};

const VERSION: i64 = 2;

/// `settlement.place` is the word of the integration, times 2^32, plus the place of the event
/// counted from the file's first. `outcomes` has a bit for each outcome of its deliveries. `body` is
/// laid out in `codec`. Deliveries are also counted, see [`reasons`].
const SCHEMA: &str = "
    CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
    CREATE TABLE integration (id INTEGER PRIMARY KEY REFERENCES word);
    CREATE TABLE settlement (
        place INTEGER PRIMARY KEY,
        outcomes INTEGER NOT NULL,
        body BLOB NOT NULL
    );
    CREATE INDEX settlement_outcomes ON settlement (outcomes, place);
    CREATE TABLE request (
        id INTEGER PRIMARY KEY,
        integration INTEGER NOT NULL REFERENCES word,
        endpoint INTEGER NOT NULL REFERENCES word,
        at INTEGER NOT NULL,
        took_ms INTEGER NOT NULL,
        status INTEGER NOT NULL,
        items INTEGER NOT NULL,
        excerpt TEXT NOT NULL
    );";

/// Version 1 had an index for each rare outcome, and no counts.
const FROM_1: &str = "
    DROP INDEX pending;
    DROP INDEX held;
    DROP INDEX refused;
    DROP INDEX failed;
    DROP INDEX expired;
    CREATE INDEX settlement_outcomes ON settlement (outcomes, place);";

/// See the [module](self).
pub(super) struct Part {
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
    /// Place of the first event whose fate it has.
    pub(super) base: Seq,
    words: HashMap<Arc<str>, i64>,
    pub(super) texts: HashMap<i64, Arc<str>>,
    /// Words of integrations that are surely in the table `integration`.
    taking_part: HashSet<i64>,
}

impl Part {
    pub(super) fn open(dir: &Path, base: Seq) -> Result<Part, Error> {
        let path = path(dir, base);
        let schema = [SCHEMA, reasons::SCHEMA].concat();
        let (connection, version) = sql::open_since(&path, 1, VERSION, &schema)?;
        let (words, texts, taking_part) = Default::default();
        let mut part = Part { path, connection, base, words, texts, taking_part };
        part.learn()?;
        if version == 1 {
            part.at_once(Part::upgrade)?;
        }
        Ok(part)
    }

    fn upgrade(&mut self) -> Result<(), Error> {
        // Another connection may have done it meanwhile.
        if sql::version_of(&self.connection).map_err(failed(&self.path))? == VERSION {
            return Ok(());
        }
        self.execute(FROM_1)?;
        self.execute(reasons::SCHEMA)?;
        let mut changes = Changes::default();
        let range = "SELECT place, body FROM settlement WHERE place >= ?1 AND place < ?2";
        for (id, name) in self.integrations(None)? {
            for (place, body) in self.rows(range, (place(id, 0), place(id + 1, 0)))? {
                let settlement = self.settlement(&name, place, &body)?;
                self.count(place, id, &settlement.deliveries, &mut changes)?;
            }
        }
        self.keep_counts(&changes)?;
        let set = self.connection.pragma_update(None, "user_version", VERSION);
        set.map_err(failed(&self.path))
    }

    /// Writes all, or nothing.
    pub(super) fn write(
        &mut self,
        settlements: &[&Settlement],
        requests: &[RequestRecord],
    ) -> Result<(), Error> {
        self.at_once(|part| part.put(settlements, requests))
    }

    /// All that `work` writes, or nothing of it.
    fn at_once(&mut self, work: impl FnOnce(&mut Part) -> Result<(), Error>) -> Result<(), Error> {
        self.execute("BEGIN IMMEDIATE")?;
        let written = work(self).and_then(|()| self.execute("COMMIT"));
        if written.is_err() {
            // The error to report is the first one; SQLite may have rolled back by itself.
            self.execute("ROLLBACK").ok();
            self.words.clear();
            self.texts.clear();
            self.taking_part.clear();
            self.learn()?;
        }
        written
    }

    fn put(
        &mut self,
        settlements: &[&Settlement],
        requests: &[RequestRecord],
    ) -> Result<(), Error> {
        let mut body = Vec::new();
        let mut changes = Changes::default();
        for settlement in settlements {
            let Settlement { seq, integration: name, revision, deliveries } = settlement;
            let integration = self.word(name)?;
            if self.taking_part.insert(integration) {
                self.run("INSERT OR IGNORE INTO integration VALUES (?1)", params![integration])?;
            }
            body.clear();
            codec::encode(&mut body, *revision, deliveries, |word| {
                self.word(word).map(|word| word as u64)
            })?;
            let outcomes = deliveries.iter().fold(0, |bits, d| bits | bit(d.outcome));
            let place = place(integration, seq.saturating_sub(self.base));
            let insert = "INSERT OR IGNORE INTO settlement VALUES (?1, ?2, ?3)";
            if self.run(insert, params![place, outcomes, body])? == 0 {
                let range = "SELECT place, body FROM settlement WHERE place >= ?1 AND place < ?2";
                for (place, body) in self.rows(range, (place, place + 1))? {
                    let earlier = self.settlement(name, place, &body)?;
                    self.uncount(integration, &earlier.deliveries, &mut changes)?;
                }
                let update = "UPDATE settlement SET outcomes = ?2, body = ?3 WHERE place = ?1";
                self.run(update, params![place, outcomes, body])?;
            }
            self.count(place, integration, deliveries, &mut changes)?;
        }
        self.keep_counts(&changes)?;
        for request in requests {
            let RequestRecord { id, at, took_ms, status, items, excerpt, .. } = request;
            let integration = self.word(&request.integration)?;
            let endpoint = self.word(&request.endpoint)?;
            self.run(
                "INSERT OR REPLACE INTO request VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![*id as i64, integration, endpoint, at, took_ms, status, items, excerpt],
            )?;
        }
        Ok(())
    }

    /// What is known at one integration of the events from `from` to below `to`, ascending.
    pub(super) fn settlements(
        &mut self,
        integration: &str,
        from: Seq,
        to: Seq,
    ) -> Result<Vec<Settlement>, Error> {
        let mut found = Vec::new();
        for (id, name) in self.integrations(Some(integration))? {
            let rows = self.rows(
                "SELECT place, body FROM settlement WHERE place >= ?1 AND place < ?2
                 ORDER BY place",
                (
                    place(id, from.saturating_sub(self.base)),
                    place(id, to.saturating_sub(self.base)),
                ),
            )?;
            for (place, body) in rows {
                found.push(self.settlement(&name, place, &body)?);
            }
        }
        Ok(found)
    }

    /// What is known of the event at `seq`, at any integration.
    pub(super) fn fates(&mut self, seq: Seq) -> Result<Vec<Settlement>, Error> {
        let mut found = Vec::new();
        for (id, name) in self.integrations(None)? {
            let place = place(id, seq.saturating_sub(self.base));
            let range = "SELECT place, body FROM settlement WHERE place >= ?1 AND place < ?2";
            for (place, body) in self.rows(range, (place, place + 1))? {
                found.push(self.settlement(&name, place, &body)?);
            }
        }
        Ok(found)
    }

    /// Above every place that has a settlement.
    pub(super) fn highest(&self) -> Result<Seq, Error> {
        let mut highest = 0;
        for (id, _) in self.integrations(None)? {
            let last: Option<i64> = self
                .connection
                .query_row(
                    "SELECT max(place) FROM settlement WHERE place >= ?1 AND place < ?2",
                    [place(id, 0), place(id + 1, 0)],
                    |row| row.get(0),
                )
                .map_err(failed(&self.path))?;
            highest = highest.max(last.map_or(0, |place| self.seq(place) + 1));
        }
        Ok(highest)
    }

    pub(super) fn request(&mut self, id: u64) -> Result<Option<RequestRecord>, Error> {
        let read = |row: &Row<'_>| -> rusqlite::Result<(i64, i64, RequestRecord)> {
            let record = RequestRecord {
                id,
                integration: "".into(),
                endpoint: "".into(),
                at: row.get(2)?,
                took_ms: row.get(3)?,
                status: row.get(4)?,
                items: row.get(5)?,
                excerpt: row.get(6)?,
            };
            Ok((row.get(0)?, row.get(1)?, record))
        };
        let found = self
            .connection
            .prepare_cached(
                "SELECT integration, endpoint, at, took_ms, status, items, excerpt
                 FROM request WHERE id = ?1",
            )
            .and_then(|mut statement| statement.query_row([id as i64], read).optional())
            .map_err(failed(&self.path))?;
        let Some((integration, endpoint, record)) = found else { return Ok(None) };
        let (integration, endpoint) = (self.text(integration)?, self.text(endpoint)?);
        Ok(Some(RequestRecord { integration, endpoint, ..record }))
    }

    fn settlement(
        &mut self,
        name: &Arc<str>,
        place: i64,
        body: &[u8],
    ) -> Result<Settlement, Error> {
        let seq = self.seq(place);
        let read =
            |part: &Part| codec::decode(body, |word| part.texts.get(&(word as i64)).cloned());
        let mut decoded = read(self);
        if decoded.is_none() {
            // Another connection may have added words.
            self.learn()?;
            decoded = read(self);
        }
        let (revision, deliveries) = decoded.ok_or_else(|| Error::Damaged {
            file: self.path.display().to_string(),
            offset: 0,
            what: format!("what became of event {seq} at {name} can't be read"),
        })?;
        Ok(Settlement { seq, integration: name.clone(), revision, deliveries })
    }

    /// Place of the event of a settlement at `place`.
    pub(super) fn seq(&self, place: i64) -> Seq {
        self.base + offset(place) as u64
    }

    fn rows(&self, sql: &str, range: (i64, i64)) -> Result<Vec<(i64, Vec<u8>)>, Error> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| {
                statement.query_map(range, |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
            })
            .map_err(failed(&self.path))
    }

    /// Word and name of the integration, or of all, that occur in this file.
    pub(super) fn integrations(&self, only: Option<&str>) -> Result<Vec<(i64, Arc<str>)>, Error> {
        self.connection
            .prepare_cached(
                "SELECT id, text FROM integration JOIN word USING (id)
                 WHERE ?1 IS NULL OR text = ?1",
            )
            .and_then(|mut statement| {
                statement.query_map([only], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
            })
            .map_err(failed(&self.path))
    }

    pub(super) fn word(&mut self, text: &Arc<str>) -> Result<i64, Error> {
        if let Some(word) = self.words.get(text) {
            return Ok(*word);
        }
        self.run("INSERT INTO word (text) VALUES (?1) ON CONFLICT DO NOTHING", params![text])?;
        let word = self
            .connection
            .query_row("SELECT id FROM word WHERE text = ?1", [text], |row| row.get(0))
            .map_err(failed(&self.path))?;
        self.words.insert(text.clone(), word);
        self.texts.insert(word, text.clone());
        Ok(word)
    }

    pub(super) fn text(&mut self, word: i64) -> Result<Arc<str>, Error> {
        if !self.texts.contains_key(&word) {
            self.learn()?;
        }
        self.texts.get(&word).cloned().ok_or_else(|| Error::Damaged {
            file: self.path.display().to_string(),
            offset: 0,
            what: format!("word {word} is missing"),
        })
    }

    pub(super) fn learn(&mut self) -> Result<(), Error> {
        let words: Vec<(i64, Arc<str>)> = self
            .connection
            .prepare_cached("SELECT id, text FROM word")
            .and_then(|mut statement| {
                statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
            })
            .map_err(failed(&self.path))?;
        for (word, text) in words {
            self.words.insert(text.clone(), word);
            self.texts.insert(word, text);
        }
        Ok(())
    }

    pub(super) fn run(&self, sql: &str, params: &[&dyn rusqlite::ToSql]) -> Result<usize, Error> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params))
            .map_err(failed(&self.path))
    }

    fn execute(&self, sql: &str) -> Result<(), Error> {
        self.connection.execute_batch(sql).map_err(failed(&self.path))
    }
}

/// Where the settlement of an event lies that is so far behind the file's first.
pub(super) fn place(integration: i64, offset: u64) -> i64 {
    (integration << 32) + i64::try_from(offset.min(1 << 32)).unwrap_or(1 << 32)
}

/// How far behind the file's first event that of a settlement is.
pub(super) fn offset(place: i64) -> i64 {
    place & i64::from(u32::MAX)
}

/// Where the file lies whose first event has place `base`.
pub(super) fn path(dir: &Path, base: Seq) -> PathBuf {
    dir.join(format!("{base:020}.db"))
}

#[cfg(test)]
mod tests {
    use super::super::places::Fate;
    use super::*;
    use crate::{Delivery, Outcome};

    #[test]
    fn a_full_disk_writes_nothing_and_goes_on_when_there_is_space() {
        let dir = tempfile::tempdir().unwrap();
        let mut part = Part::open(dir.path(), 1).unwrap();
        let settlement = |seq: u64, code: &str| Settlement {
            seq,
            integration: "heap".into(),
            revision: 1,
            deliveries: vec![Delivery {
                action: "a".into(),
                outcome: Outcome::Failed,
                code: code.into(),
                sentence: "s".into(),
                steps_done: 0,
                requests: Vec::new(),
                digest: [9; 16],
                notices: Vec::new(),
                at: 5,
                revision: None,
            }],
        };
        let many: Vec<_> = (1..5_000).map(|seq| settlement(seq, &format!("c{seq}"))).collect();
        let many: Vec<_> = many.iter().collect();
        part.execute("PRAGMA max_page_count = 20").unwrap();
        let Err(Error::Full(said)) = part.write(&many, &[]) else { panic!() };
        assert!(said.contains("full"), "{said}");
        assert_eq!(part.settlements("heap", 0, 9_999).unwrap(), []);
        let one = settlement(7, "c7");
        part.write(&[&one], &[]).unwrap();
        assert_eq!(part.settlements("heap", 0, 9_999).unwrap(), [one]);
        part.execute("PRAGMA max_page_count = 100000").unwrap();
        part.write(&many, &[]).unwrap();
        let mut other = Part::open(dir.path(), 1).unwrap();
        let found = other.settlements("heap", 0, 9_999).unwrap();
        assert!(found.iter().eq(many));
    }

    #[test]
    fn a_file_of_version_1_is_brought_up_to_date() {
        let dir = tempfile::tempdir().unwrap();
        let path = path(dir.path(), 1);
        let old = sql::open(
            &path,
            1,
            "CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
             CREATE TABLE integration (id INTEGER PRIMARY KEY REFERENCES word);
             CREATE TABLE settlement (
                 place INTEGER PRIMARY KEY, outcomes INTEGER NOT NULL, body BLOB NOT NULL
             );
             CREATE INDEX pending ON settlement (place) WHERE outcomes & 1;
             CREATE INDEX held ON settlement (place) WHERE outcomes & 2;
             CREATE INDEX refused ON settlement (place) WHERE outcomes & 16;
             CREATE INDEX failed ON settlement (place) WHERE outcomes & 32;
             CREATE INDEX expired ON settlement (place) WHERE outcomes & 64;
             INSERT INTO word VALUES (1, 'heap'), (2, 'track'), (3, 'http_400');
             INSERT INTO integration VALUES (1);",
        )
        .unwrap();
        // Revision 1, one delivery of word 2: failed, for word 3, no step done, at 5.
        let body = vec![1_u8, 1, 2, 5, 3, 0, 10];
        for seq in [4_u64, 9] {
            let insert = "INSERT INTO settlement VALUES (?1, 32, ?2)";
            old.execute(insert, params![place(1, seq - 1), body]).unwrap();
        }
        drop(old);
        for _ in 0..2 {
            let mut part = Part::open(dir.path(), 1).unwrap();
            let [reason] = part.reasons(None, &[Outcome::Failed]).unwrap().try_into().unwrap();
            assert_eq!((reason.count, reason.first, reason.latest), (2, 5, 9));
            assert_eq!((&*reason.action, &*reason.code), ("track", "http_400"));
            let failed = Fate { integration: None, outcome: Some(Outcome::Failed), code: None };
            assert_eq!(part.places(failed, (1, 99), 9).unwrap().found, [9, 4]);
        }
    }
}
