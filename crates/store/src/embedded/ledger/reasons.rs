//! Deliveries counted by what became of them and why, in one file of the ledger.

use std::collections::BTreeMap;

use rusqlite::params;

use super::codec::{self, bit};
use super::part::{Part, offset};
use super::sql::failed;
use crate::{Delivery, Error, Millis, Outcome, Reason};

/// The table `reason`: deliveries that have a code, by words of integration, action and code and by
/// the number that `codec` has for the outcome. `latest` is the highest place, counted from the
/// file's first, that ever had one of them; `first` and `last` are times.
pub(super) const SCHEMA: &str = "
    CREATE TABLE reason (
        integration INTEGER NOT NULL REFERENCES word,
        action INTEGER NOT NULL REFERENCES word,
        outcome INTEGER NOT NULL,
        code INTEGER NOT NULL REFERENCES word,
        count INTEGER NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        latest INTEGER NOT NULL,
        PRIMARY KEY (integration, action, outcome, code)
    ) WITHOUT ROWID;";

/// Changes to the counts, on their way into the table.
#[derive(Default)]
pub(super) struct Changes(BTreeMap<(i64, i64, u8, i64), Change>);

struct Change {
    more: i64,
    less: i64,
    first: Millis,
    last: Millis,
    latest: i64,
}

impl Changes {
    fn of(&mut self, key: (i64, i64, u8, i64)) -> &mut Change {
        let none = Change { more: 0, less: 0, first: Millis::MAX, last: Millis::MIN, latest: 0 };
        self.0.entry(key).or_insert(none)
    }
}

impl Part {
    /// Counts the deliveries of a settlement at `place`.
    pub(super) fn count(
        &mut self,
        place: i64,
        integration: i64,
        deliveries: &[Delivery],
        changes: &mut Changes,
    ) -> Result<(), Error> {
        for delivery in deliveries.iter().filter(|d| !d.code.is_empty()) {
            let (action, code) = (self.word(&delivery.action)?, self.word(&delivery.code)?);
            let key = (integration, action, codec::number(delivery.outcome), code);
            let change = changes.of(key);
            change.more += 1;
            change.first = change.first.min(delivery.at);
            change.last = change.last.max(delivery.at);
            change.latest = change.latest.max(offset(place));
        }
        Ok(())
    }

    /// Counts them no more.
    pub(super) fn uncount(
        &mut self,
        integration: i64,
        deliveries: &[Delivery],
        changes: &mut Changes,
    ) -> Result<(), Error> {
        for delivery in deliveries.iter().filter(|d| !d.code.is_empty()) {
            let (action, code) = (self.word(&delivery.action)?, self.word(&delivery.code)?);
            changes.of((integration, action, codec::number(delivery.outcome), code)).less += 1;
        }
        Ok(())
    }

    pub(super) fn keep_counts(&mut self, Changes(changes): &Changes) -> Result<(), Error> {
        for ((integration, action, outcome, code), change) in changes {
            let Change { more, less, first, last, latest } = change;
            if *more > 0 {
                self.run(
                    "INSERT INTO reason VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                     ON CONFLICT DO UPDATE SET
                         count = count + excluded.count,
                         first = min(first, excluded.first),
                         last = max(last, excluded.last),
                         latest = max(latest, excluded.latest)",
                    params![integration, action, outcome, code, more, first, last, latest],
                )?;
            }
            if *less > 0 {
                self.run(
                    "UPDATE reason SET count = count - ?5 WHERE integration = ?1
                     AND action = ?2 AND outcome = ?3 AND code = ?4",
                    params![integration, action, outcome, code, less],
                )?;
            }
        }
        if changes.values().any(|change| change.less > 0) {
            self.run("DELETE FROM reason WHERE count <= 0", params![])?;
        }
        Ok(())
    }

    /// All counts of `integration` or of all, without sentences.
    pub(super) fn reasons(
        &mut self,
        integration: Option<&str>,
        outcomes: &[Outcome],
    ) -> Result<Vec<Reason>, Error> {
        let mut reasons = Vec::new();
        for (id, name) in self.integrations(integration)? {
            type Row = (i64, u8, i64, i64, Millis, Millis, i64);
            let rows: Vec<Row> = self
                .connection
                .prepare_cached(
                    "SELECT action, outcome, code, count, first, last, latest FROM reason
                     WHERE integration = ?1",
                )
                .and_then(|mut statement| {
                    let read = |row: &rusqlite::Row<'_>| {
                        Ok((
                            row.get(0)?,
                            row.get(1)?,
                            row.get(2)?,
                            row.get(3)?,
                            row.get(4)?,
                            row.get(5)?,
                            row.get(6)?,
                        ))
                    };
                    statement.query_map([id], read)?.collect()
                })
                .map_err(failed(&self.path))?;
            for (action, outcome, code, count, first, last, latest) in rows {
                let outcome = outcomes.iter().find(|o| codec::number(**o) == outcome);
                let Some(outcome) = outcome.copied() else { continue };
                reasons.push(Reason {
                    integration: name.clone(),
                    action: self.text(action)?,
                    outcome,
                    code: self.text(code)?,
                    count: u64::try_from(count).unwrap_or(0),
                    first,
                    last,
                    latest: self.base + u64::try_from(latest).unwrap_or(0),
                    sentence: "".into(),
                });
            }
        }
        Ok(reasons)
    }

    /// Bits of the outcomes that deliveries with this code have at an integration.
    pub(super) fn outcomes_of(&self, integration: i64, code: &str) -> Result<i64, Error> {
        let outcomes: Vec<u8> = self
            .connection
            .prepare_cached(
                "SELECT DISTINCT outcome FROM reason
                 WHERE integration = ?1 AND code = (SELECT id FROM word WHERE text = ?2)",
            )
            .and_then(|mut statement| {
                statement.query_map(params![integration, code], |row| row.get(0))?.collect()
            })
            .map_err(failed(&self.path))?;
        let bits = Outcome::ALL.into_iter().filter(|o| outcomes.contains(&codec::number(*o)));
        Ok(bits.fold(0, |bits, outcome| bits | bit(outcome)))
    }
}
