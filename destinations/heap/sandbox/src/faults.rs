//! Faults on order: which request meets which fault.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::Numbers;
use crate::json::{Json, Members};

/// A fault to play, for which requests, and how often. Neither `next` nor `probability`: always.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Rule {
    /// The path that it is for; all paths if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    probability: Option<f64>,
    #[serde(default)]
    seed: u64,
    #[serde(flatten)]
    fault: Fault,
    /// How many requests met it.
    #[serde(default, skip_deserializing)]
    hits: u64,
    #[serde(skip)]
    numbers: Option<Numbers>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Fault {
    Status {
        status: u16,
        /// Seconds, or a text that is sent as it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<Value>,
        #[serde(default)]
        body: String,
    },
    Delay {
        ms: u64,
    },
    StoreThenClose,
    CloseBeforeReading,
    HalfAnswer,
    TooLarge {
        above: usize,
    },
    Poison {
        property: String,
        value: Value,
    },
}

impl Fault {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Fault::Status { .. } => "status",
            Fault::Delay { .. } => "delay",
            Fault::StoreThenClose => "store_then_close",
            Fault::CloseBeforeReading => "close_before_reading",
            Fault::HalfAnswer => "half_answer",
            Fault::TooLarge { .. } => "too_large",
            Fault::Poison { .. } => "poison",
        }
    }
}

impl Rule {
    /// Checks what an order must observe beyond its types.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.next.is_some() && self.probability.is_some() {
            return Err("a fault has `next` or `probability`, not both".into());
        }
        if self.probability.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
            return Err("`probability` lies between 0 and 1".into());
        }
        if let Fault::Status { status, .. } = &self.fault
            && !(200..=599).contains(status)
        {
            return Err("`status` lies between 200 and 599".into());
        }
        Ok(())
    }

    fn is_for(&self, path: &str) -> bool {
        self.next != Some(0) && self.path.as_deref().is_none_or(|own| own == path)
    }

    fn fires(&mut self) -> bool {
        match self.probability {
            None => true,
            Some(probability) => {
                let seed = self.seed;
                let numbers = self.numbers.get_or_insert_with(|| Numbers::new(seed));
                numbers.fraction() < probability
            }
        }
    }

    fn hit(&mut self) {
        self.hits += 1;
        if let Some(next) = &mut self.next {
            *next -= 1;
        }
    }
}

/// What one request meets: a delay, and one fault at most.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) delay_ms: u64,
    pub(crate) fault: Option<Fault>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    rules: Vec<Rule>,
}

impl Faults {
    pub(crate) fn order(&mut self, rules: Vec<Rule>) {
        self.rules.retain(|rule| rule.next != Some(0));
        self.rules.extend(rules);
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What is decided when a request comes: rules are tried in the order that they were given,
    /// delays add up, and the first other fault that fires takes the request.
    pub(crate) fn on_arrival(&mut self, path: &str) -> Plan {
        let mut plan = Plan::default();
        for rule in self.rules.iter_mut().filter(|rule| rule.is_for(path)) {
            match &rule.fault {
                Fault::Delay { ms } => {
                    let ms = *ms;
                    if rule.fires() {
                        plan.delay_ms += ms;
                        rule.hit();
                    }
                }
                Fault::TooLarge { .. } | Fault::Poison { .. } => {}
                Fault::Status { .. }
                | Fault::StoreThenClose
                | Fault::CloseBeforeReading
                | Fault::HalfAnswer => {
                    if plan.fault.is_none() && rule.fires() {
                        plan.fault = Some(rule.fault.clone());
                        rule.hit();
                    }
                }
            }
        }
        plan
    }

    /// Whether the body is larger than a rule lets through.
    pub(crate) fn is_too_large(&mut self, path: &str, body_bytes: usize) -> bool {
        let rule = self.rules.iter_mut().filter(|rule| rule.is_for(path)).find_map(|rule| {
            match &rule.fault {
                Fault::TooLarge { above } if body_bytes > *above => rule.fires().then_some(rule),
                _ => None,
            }
        });
        rule.map(Rule::hit).is_some()
    }

    pub(crate) fn has_poison(&self, path: &str) -> bool {
        self.rules
            .iter()
            .any(|rule| rule.is_for(path) && matches!(rule.fault, Fault::Poison { .. }))
    }

    /// The first item of the list that a poison rule matches: its index and the property.
    pub(crate) fn poisoned(
        &mut self,
        path: &str,
        items: &[&Members<'_>],
    ) -> Option<(usize, String)> {
        for rule in self.rules.iter_mut().filter(|rule| rule.is_for(path)) {
            let Fault::Poison { property, value } = &rule.fault else { continue };
            let place = items.iter().position(|item| holds(item, property, value));
            let found = place.map(|place| (place, property.clone()));
            if found.is_some() && rule.fires() {
                rule.hit();
                return found;
            }
        }
        None
    }
}

fn holds(item: &Members<'_>, property: &str, value: &Value) -> bool {
    ["properties", "custom_properties"].iter().any(|name| match item.get(name) {
        Some(Json::Object(members)) => members.get(property).is_some_and(|own| equals(own, value)),
        Some(_) | None => false,
    })
}

fn equals(own: &Json<'_>, value: &Value) -> bool {
    match (own, value) {
        (Json::Text(own), Value::String(value)) => own == value,
        (Json::Number(own), Value::Number(value)) => own.as_f64() == value.as_f64(),
        (Json::Bool(own), Value::Bool(value)) => own == value,
        (Json::Null, Value::Null) => true,
        (_, _) => false,
    }
}
