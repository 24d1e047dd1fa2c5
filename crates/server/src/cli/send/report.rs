//! What became of events that were sent straight to destinations.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use heapline_store::{Outcome, Settlement};
use serde_json::json;

use crate::cli::style;

/// A record of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Origin {
    /// Index of the file, and number of the record.
    pub(super) place: (usize, u64),
    /// The file's name.
    pub(super) file: String,
}

/// Counts, and the file that tells of each record that wasn't delivered.
#[derive(Default)]
pub(super) struct Report {
    /// Events by integration and what became of them; once each.
    events: BTreeMap<(String, &'static str), u64>,
    /// Why, with how many, a sentence and the first record.
    reasons: BTreeMap<(String, &'static str, String), (u64, String, Origin)>,
    file: Option<BufWriter<File>>,
}

/// What the door said no to.
const DOOR: &str = "input";

impl Report {
    pub(super) fn to(file: Option<&Path>) -> Result<Report> {
        let open = |path: &Path| {
            let file = File::create(path);
            file.map(BufWriter::new).with_context(|| format!("cannot write {}", path.display()))
        };
        Ok(Report { file: file.map(open).transpose()?, ..Report::default() })
    }

    /// An event isn't fit to be taken.
    pub(super) fn turned_away(
        &mut self,
        origin: &Origin,
        code: &str,
        sentence: String,
    ) -> Result<()> {
        let word = Outcome::Refused.word();
        *self.events.entry((DOOR.to_owned(), word)).or_default() += 1;
        self.reason(DOOR, "", word, (code, sentence), origin)
    }

    /// An event is the repetition of one that was sent a moment ago.
    pub(super) fn repeated(&mut self, count: u64) {
        if count > 0 {
            *self.events.entry((DOOR.to_owned(), "repeated")).or_default() += count;
        }
    }

    /// An event is settled at an integration.
    pub(super) fn settled(&mut self, settlement: &Settlement, origin: &Origin) -> Result<()> {
        let integration = &*settlement.integration;
        // The worst of what its actions came to, but for those that didn't want it.
        let worst = [Outcome::Failed, Outcome::Expired, Outcome::Refused, Outcome::Held];
        let has = |outcome: &Outcome| settlement.deliveries.iter().any(|d| d.outcome == *outcome);
        let outcome = worst.into_iter().chain([Outcome::Delivered]).find(has);
        let word = outcome.unwrap_or(Outcome::Filtered).word();
        *self.events.entry((integration.to_owned(), word)).or_default() += 1;
        for delivery in &settlement.deliveries {
            if worst.contains(&delivery.outcome) {
                let sentence = match &*delivery.sentence {
                    "" => delivery.code.to_string(),
                    sentence => sentence.to_owned(),
                };
                let why = (&*delivery.code, sentence);
                self.reason(integration, &delivery.action, delivery.outcome.word(), why, origin)?;
            }
        }
        Ok(())
    }

    fn reason(
        &mut self,
        integration: &str,
        action: &str,
        outcome: &'static str,
        (code, sentence): (&str, String),
        origin: &Origin,
    ) -> Result<()> {
        if let Some(file) = &mut self.file {
            let line = json!({
                "file": origin.file, "record": origin.place.1, "integration": integration,
                "action": action, "outcome": outcome, "code": code, "reason": sentence,
            });
            writeln!(file, "{line}").context("cannot write the report")?;
        }
        let key = (integration.to_owned(), outcome, code.to_owned());
        let (count, _, first) =
            self.reasons.entry(key).or_insert_with(|| (0, sentence, origin.clone()));
        *count += 1;
        if origin < first {
            *first = origin.clone();
        }
        Ok(())
    }

    /// True if every event was delivered, or wasn't wanted.
    pub(super) fn is_good(&self) -> bool {
        self.reasons.is_empty()
    }

    /// Prints it, and finishes the file.
    pub(super) fn print(&mut self) -> Result<()> {
        let style = style::for_stdout();
        let mut lines: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for ((integration, word), count) in &self.events {
            let line = format!("{count} {}", style.outcome(word));
            lines.entry(integration).or_default().push(line);
        }
        for (integration, counts) in lines {
            println!("{}  {}", style.bold(integration), counts.join(", "));
        }
        for ((integration, word, code), (count, sentence, first)) in &self.reasons {
            println!(
                "  {count} {} at {integration}, {code}: {sentence} First: {}, record {}.",
                style.outcome(word),
                first.file,
                first.place.1
            );
        }
        if let Some(file) = &mut self.file {
            file.flush().context("cannot write the report")?;
        }
        Ok(())
    }
}
