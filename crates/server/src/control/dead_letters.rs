//! Dead letters, grouped by what became of them.

use std::collections::BTreeMap;

use heapline_action::datetime;
use heapline_store::{Millis, Outcome, Query};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Control, Problem};

/// Which dead letters.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeadLetterParams {
    /// Only those of this integration.
    pub integration: Option<String>,
}

/// Dead letters of one integration and action, with one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetters {
    /// Id of the integration.
    pub integration: String,
    /// Id of the action.
    pub action: String,
    /// `failed` or `expired`.
    pub outcome: String,
    /// Short fixed name of the reason.
    pub code: String,
    /// The reason of the latest, in one sentence.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// When the first came to be, RFC 3339.
    pub first: String,
    /// When the latest came to be.
    pub last: String,
    /// Place of the latest in the journal.
    pub latest: u64,
}

struct Group {
    count: u64,
    first: Millis,
    last: Millis,
    latest: u64,
    reason: String,
}

impl Control {
    /// All dead letters by reason, the most frequent first.
    pub fn dead_letters(&self, params: &DeadLetterParams) -> Result<Vec<DeadLetters>, Problem> {
        let mut groups: BTreeMap<(String, String, Outcome, String), Group> = BTreeMap::new();
        for outcome in [Outcome::Failed, Outcome::Expired] {
            let integration = params.integration.clone();
            let mut query =
                Query { integration, outcome: Some(outcome), limit: 500, ..Query::default() };
            loop {
                let page = self.store.find(&query)?;
                let settlements = page.found.iter().flat_map(|found| &found.settlements);
                let wanted = settlements.filter(|s| {
                    params.integration.as_deref().is_none_or(|only| *s.integration == *only)
                });
                for settlement in wanted {
                    for dead in settlement.deliveries.iter().filter(|d| d.outcome == outcome) {
                        let integration = settlement.integration.to_string();
                        let (action, code) = (dead.action.to_string(), dead.code.to_string());
                        let group = groups.entry((integration, action, outcome, code));
                        let group = group.or_insert_with(|| Group {
                            count: 0,
                            first: dead.at,
                            last: dead.at,
                            latest: settlement.seq,
                            reason: dead.sentence.to_string(),
                        });
                        group.count += 1;
                        group.first = group.first.min(dead.at);
                        group.last = group.last.max(dead.at);
                    }
                }
                query.before = page.more;
                if query.before.is_none() {
                    break;
                }
            }
        }
        let group = |((integration, action, outcome, code), group): (_, Group)| {
            let outcome: Outcome = outcome;
            DeadLetters {
                integration,
                action,
                outcome: outcome.word().to_owned(),
                code,
                reason: group.reason,
                count: group.count,
                first: datetime::print(group.first),
                last: datetime::print(group.last),
                latest: group.latest,
            }
        };
        let mut all: Vec<DeadLetters> = groups.into_iter().map(group).collect();
        all.sort_by_key(|group| std::cmp::Reverse(group.count));
        Ok(all)
    }
}
