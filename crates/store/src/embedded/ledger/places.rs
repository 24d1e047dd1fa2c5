//! Where events are that had some fate, in one file of the ledger.

use rusqlite::{Connection, params};

use super::codec::{self, bit};
use super::part::{Part, place};
use super::sql::failed;
use crate::{Error, Outcome, Query, Seq};

/// What is asked of an event's fate: conditions that one and the same delivery meets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fate<'q> {
    /// Id of the integration.
    pub(crate) integration: Option<&'q str>,
    /// Its outcome.
    pub(crate) outcome: Option<Outcome>,
    /// Its code.
    pub(crate) code: Option<&'q str>,
}

/// Places that were found, newest first, and how many rows had to be looked at.
#[derive(Debug, Default)]
pub(crate) struct Places {
    pub(crate) found: Vec<Seq>,
    pub(crate) looked: usize,
}

impl<'q> Fate<'q> {
    /// What a query asks of it.
    pub(crate) fn of(query: &'q Query) -> Fate<'q> {
        Fate {
            integration: query.integration.as_deref(),
            outcome: query.outcome,
            code: query.code.as_deref(),
        }
    }
}

/// All sets of outcomes that occur, each found by one step in the index.
const KINDS: &str = "
    WITH RECURSIVE kind (outcomes) AS (
        SELECT min(outcomes) FROM settlement
        UNION ALL
        SELECT (SELECT min(s.outcomes) FROM settlement s WHERE s.outcomes > kind.outcomes)
        FROM kind WHERE kind.outcomes IS NOT NULL
    )
    SELECT outcomes FROM kind WHERE outcomes IS NOT NULL";

const OF_ALL: &str = "
    SELECT place FROM settlement WHERE place >= ?1 AND place < ?2
    ORDER BY place DESC LIMIT ?3";

const OF_KIND: &str = "
    SELECT place FROM settlement WHERE outcomes = ?4 AND place >= ?1 AND place < ?2
    ORDER BY place DESC LIMIT ?3";

const OF_KIND_WITH_BODY: &str = "
    SELECT place, body FROM settlement WHERE outcomes = ?3 AND place >= ?1 AND place < ?2
    ORDER BY place DESC";

impl Part {
    /// The highest places between `from` and below `to` of events with this fate, newest first, at
    /// most `limit`. A few may not have it.
    pub(super) fn places(
        &mut self,
        fate: Fate<'_>,
        (from, to): (Seq, Seq),
        limit: usize,
    ) -> Result<Places, Error> {
        let mut places = Places::default();
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let code = fate.code.filter(|code| !code.is_empty());
        if code.is_some() {
            // Another connection may have added words.
            self.learn()?;
        }
        let kinds = match (fate.outcome, code) {
            (None, None) => Vec::new(),
            (Some(_), _) | (None, Some(_)) => self.kinds()?,
        };
        for (id, _) in self.integrations(fate.integration)? {
            let [low, high] = [from, to].map(|seq| place(id, seq.saturating_sub(self.base)));
            let mut wanted = fate.outcome.map_or(-1, bit);
            if let Some(code) = code {
                wanted &= self.outcomes_of(id, code)?;
            }
            let kinds = kinds.iter().filter(|kind| *kind & wanted != 0);
            match (fate.outcome, code) {
                (None, None) => {
                    self.take(&mut places, |connection| {
                        read(connection, OF_ALL, params![low, high, most])
                    })?;
                }
                (Some(_), None) => {
                    for kind in kinds {
                        self.take(&mut places, |connection| {
                            read(connection, OF_KIND, params![low, high, most, kind])
                        })?;
                    }
                }
                (_, Some(code)) => {
                    for kind in kinds {
                        let fate = Fate { code: Some(code), ..fate };
                        self.scan(&mut places, fate, (low, high, *kind), limit)?;
                    }
                }
            }
        }
        places.found.sort_unstable_by(|one, other| other.cmp(one));
        places.found.dedup();
        places.found.truncate(limit);
        Ok(places)
    }

    fn take(
        &self,
        places: &mut Places,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<Vec<i64>>,
    ) -> Result<(), Error> {
        let found = ask(&self.connection).map_err(failed(&self.path))?;
        places.looked += found.len();
        places.found.extend(found.into_iter().map(|place| self.seq(place)));
        Ok(())
    }

    /// Looks into each settlement of a kind for the code.
    fn scan(
        &self,
        places: &mut Places,
        fate: Fate<'_>,
        range: (i64, i64, i64),
        limit: usize,
    ) -> Result<(), Error> {
        let fits = |body: &[u8]| {
            let read = codec::decode(body, |word| self.texts.get(&(word as i64)).cloned());
            // What can't be read here is judged by whoever reads it.
            read.is_none_or(|(_, deliveries)| {
                deliveries.iter().any(|d| {
                    fate.outcome.is_none_or(|outcome| d.outcome == outcome)
                        && fate.code.is_none_or(|code| *d.code == *code)
                })
            })
        };
        let mut scan = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare_cached(OF_KIND_WITH_BODY)?;
            let mut rows = statement.query(range)?;
            let mut found = 0;
            while found < limit
                && let Some(row) = rows.next()?
            {
                places.looked += 1;
                if fits(row.get_ref(1)?.as_blob()?) {
                    places.found.push(self.seq(row.get(0)?));
                    found += 1;
                }
            }
            Ok(())
        };
        scan().map_err(failed(&self.path))
    }

    fn kinds(&self) -> Result<Vec<i64>, Error> {
        read(&self.connection, KINDS, params![]).map_err(failed(&self.path))
    }
}

fn read(
    connection: &Connection,
    sql: &str,
    params: &[&dyn rusqlite::ToSql],
) -> rusqlite::Result<Vec<i64>> {
    connection.prepare_cached(sql)?.query_map(params, |row| row.get(0))?.collect()
}
