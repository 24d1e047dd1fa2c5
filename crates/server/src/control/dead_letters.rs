//! Dead letters, grouped by what became of them.

use heapline_action::datetime;
use heapline_store::{Outcome, Reason};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Control, Problem};

/// Which dead letters.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct DeadLetterParams {
    /// Only those of this integration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integration: Option<String>,
    /// Also what was never sent, since it can't become a request: an edited action may mend it.
    pub refused: bool,
}

/// Dead letters of one integration and action, with one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetters {
    /// Id of the integration.
    pub integration: String,
    /// Id of the action.
    pub action: String,
    /// `failed`, `expired` or `refused`.
    pub outcome: String,
    /// Short fixed name of the reason.
    pub code: String,
    /// The reason of the latest, in one sentence.
    pub reason: String,
    /// How many there are now. Those of events that retention has dropped are counted until
    /// what became of them is dropped, too.
    pub count: u64,
    /// When this was first seen, RFC 3339.
    pub first: String,
    /// When it was last seen.
    pub last: String,
    /// Place of the latest in the journal.
    pub latest: u64,
}

impl Control {
    /// All dead letters by reason, the most frequent first. They are counted as they come to be:
    /// however many there are, this is quick.
    pub fn dead_letters(&self, params: &DeadLetterParams) -> Result<Vec<DeadLetters>, Problem> {
        let outcomes: &[Outcome] = match params.refused {
            true => &[Outcome::Failed, Outcome::Expired, Outcome::Refused],
            false => &[Outcome::Failed, Outcome::Expired],
        };
        let reasons = self.store.reasons(params.integration.as_deref(), outcomes)?;
        let mut all: Vec<DeadLetters> = reasons.into_iter().map(group).collect();
        all.sort_by_key(|group| std::cmp::Reverse(group.count));
        Ok(all)
    }
}

fn group(reason: Reason) -> DeadLetters {
    DeadLetters {
        integration: reason.integration.to_string(),
        action: reason.action.to_string(),
        outcome: reason.outcome.word().to_owned(),
        reason: match &*reason.sentence {
            "" => reason.code.to_string(),
            sentence => sentence.to_owned(),
        },
        code: reason.code.to_string(),
        count: reason.count,
        first: datetime::print(reason.first),
        last: datetime::print(reason.last),
        latest: reason.latest,
    }
}
