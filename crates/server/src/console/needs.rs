//! What needs somebody's attention, each with the next step.

use heapline_action::datetime;

use super::Console;
use super::backlog::{Backlog, Health};
use super::oops::sentence;
use super::words::counted;
use crate::admin::RefusedParams;
use crate::control::{DeadLetterParams, DeadLetters, Problem};
use crate::server::now;
use crate::workspace::{Integration, Source, Workspace};

/// What needs attention.
pub(super) struct Need {
    pub(super) weight: Weight,
    pub(super) what: String,
    pub(super) why: String,
    /// Address and words of the next step.
    pub(super) step: Option<(String, &'static str)>,
}

/// How much something needs it; the heaviest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    Bad,
    Warn,
    Info,
    Good,
}

/// All that needs attention.
#[derive(Default)]
pub(super) struct Needs(Vec<Need>);

/// A refusal at the door is worth attention for so long, in milliseconds.
const RECENT: i64 = 15 * 60_000;

/// An event that could not become a request is worth attention for so long, in milliseconds.
const DAY: i64 = 24 * 3_600_000;

impl Weight {
    /// Its icon and class.
    pub(super) fn word(self) -> &'static str {
        match self {
            Weight::Bad => "bad",
            Weight::Warn => "warn",
            Weight::Info => "info",
            Weight::Good => "good",
        }
    }
}

impl Needs {
    /// The heaviest first; that nothing does if so.
    pub(super) fn in_order(mut self) -> Vec<Need> {
        self.0.sort_by_key(|need| need.weight);
        self.0
    }

    /// A source that sends nothing, or what is refused.
    pub(super) fn of_source(
        &mut self,
        console: &Console,
        source: &Source,
        has_sent: bool,
    ) -> Result<(), Problem> {
        let address = format!("/sources/{}", source.id);
        if !has_sent && source.enabled {
            self.add(
                Weight::Info,
                format!("{} has sent nothing yet", source.name),
                "Point its client at this server; key and set-up are ready to paste.",
                Some((address.clone(), "Set it up")),
            );
        }
        let params = RefusedParams { source: Some(source.id.to_string()), limit: Some(1) };
        let refused = console.control.refused(&params)?.into_iter().next();
        if let Some(refused) = refused.filter(|refused| is_younger(&refused.at, RECENT)) {
            self.add(
                Weight::Warn,
                format!("{} sends what is refused", source.name),
                sentence(&refused.message),
                Some((address, "Look at Data In")),
            );
        }
        Ok(())
    }

    /// An integration that can't keep up, or isn't let to.
    pub(super) fn of_integration(&mut self, integration: &Integration, backlog: &Backlog) {
        let id = &integration.id;
        match backlog.health {
            Health::Behind => self.add(
                Weight::Bad,
                format!("{} is behind", integration.name),
                format!(
                    "{} wait, the oldest for more than a minute.",
                    counted(backlog.waiting, "event", "events")
                ),
                Some((format!("/integrations/{id}"), "See why")),
            ),
            Health::Held => {
                for trouble in &backlog.held {
                    self.add(
                        Weight::Bad,
                        format!("{} delivers nothing to {}", integration.name, trouble.endpoint),
                        format!("{} {}", trouble.reason, trouble.next_step),
                        Some((format!("/integrations/{id}/settings"), "Check the settings")),
                    );
                }
            }
            Health::Off if backlog.waiting > 0 => self.add(
                Weight::Warn,
                format!("{} is switched off", integration.name),
                format!(
                    "{} wait for it in the journal, until retention drops them.",
                    counted(backlog.waiting, "event", "events")
                ),
                Some((format!("/integrations/{id}/settings"), "Switch it on")),
            ),
            Health::Good | Health::Off => {}
        }
    }

    /// What could not be delivered, and what could not even be sent.
    pub(super) fn of_dead_letters(
        &mut self,
        console: &Console,
        workspace: &Workspace,
    ) -> Result<(), Problem> {
        let params = DeadLetterParams { integration: None, refused: true };
        let all = console.control.dead_letters(&params)?;
        for integration in &workspace.integrations {
            let ours = |letters: &&DeadLetters| letters.integration == *integration.id;
            let (refused, dead): (Vec<&DeadLetters>, Vec<&DeadLetters>) =
                all.iter().filter(ours).partition(|letters| letters.outcome == "refused");
            let step =
                |words| Some((format!("/integrations/{}/dead-letters", integration.id), words));
            let count = |of: &[&DeadLetters]| of.iter().map(|letters| letters.count).sum::<u64>();
            if let Some(most) = dead.first() {
                let what = counted(count(&dead), "dead letter", "dead letters");
                let what = format!("{} has {what}", integration.name);
                self.add(Weight::Bad, what, sentence(&most.reason), step("Mend and replay"));
            }
            let recent = |letters: &&&DeadLetters| is_younger(&letters.last, DAY);
            if let Some(most) = refused.iter().find(recent) {
                let what = counted(count(&refused), "event", "events");
                let what = format!("{} could not send {what}", integration.name);
                self.add(Weight::Warn, what, sentence(&most.reason), step("Look at them"));
            }
        }
        Ok(())
    }

    /// What is missing or odd in the workspace. `open` if it can be changed here.
    pub(super) fn of_workspace(&mut self, workspace: &Workspace, open: bool) {
        if !workspace.sources.is_empty() && workspace.integrations.is_empty() {
            self.add(
                Weight::Warn,
                "No integration takes the events".to_owned(),
                "Events are kept, and go nowhere. The directory has two ways to go on.",
                open.then(|| ("/directory".to_owned(), "Open the directory")),
            );
        }
        if self.0.is_empty() && !workspace.sources.is_empty() {
            let why = "Every source sends and every integration keeps up.";
            self.add(Weight::Good, "Nothing".to_owned(), why, None);
        }
    }

    fn add(
        &mut self,
        weight: Weight,
        what: String,
        why: impl Into<String>,
        step: Option<(String, &'static str)>,
    ) {
        self.0.push(Need { weight, what, why: why.into(), step });
    }
}

fn is_younger(rfc3339: &str, than: i64) -> bool {
    datetime::read_text(rfc3339).is_some_and(|at| now().saturating_sub(at) < than)
}
