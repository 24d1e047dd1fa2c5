//! An action while it is edited: trigger and mapping twice, as form and as text.
//!
//! Of each pair the one that was changed wins: the text if it differs from what the page was given
//! (`…_was`), else the form.

use heapline_action::destination::ActionType;
use heapline_action::mapping::Mapping;
use heapline_action::trigger::Trigger;
use heapline_action::value::Value;

use super::conditions::Node;
use super::fields::Fields;
use super::mapping::{self, Line};
use super::oops::sentence;
use super::trace::pretty;

/// An action while it is edited.
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) trigger: String,
    /// What is wrong with the trigger's text, and where.
    pub(super) trigger_fault: String,
    pub(super) warnings: Vec<String>,
    pub(super) conditions: Node,
    /// True if the conditions gave the text.
    pub(super) trigger_by_form: bool,
    /// True if conditions were added or taken away, or the text gave them anew.
    pub(super) redraw_conditions: bool,
    pub(super) mapping: String,
    pub(super) mapping_faults: Vec<String>,
    /// `None` if a directive gives the mapping as a whole.
    pub(super) lines: Option<Vec<Line>>,
    /// True if the text gave the lines anew.
    pub(super) redraw_lines: bool,
    value: Option<Value<'static>>,
    sound: bool,
}

impl Draft {
    /// A draft that nobody has changed.
    pub(super) fn new(
        form: &'static ActionType,
        name: &str,
        trigger: &str,
        mapping: &Value<'_>,
    ) -> Draft {
        let mut draft = Draft::empty(name);
        draft.trigger = trigger.to_owned();
        draft.by_text();
        draft.mapping = pretty(mapping);
        draft.lines = mapping::lines(form, mapping);
        draft.take(mapping.clone().into_owned());
        draft
    }

    /// The draft that a posted form says.
    pub(super) fn read(form: &'static ActionType, fields: &Fields) -> Draft {
        let mut draft = Draft::empty(fields.text("name"));
        let plain = |name| fields.all(name).next().unwrap_or_default().replace("\r\n", "\n");
        let (trigger, was) = (plain("trigger"), plain("trigger_was"));
        draft.conditions = Node::read(fields);
        draft.trigger = trigger;
        if draft.trigger == was && fields.has("group") {
            draft.redraw_conditions = fields.has("edit");
            draft.by_conditions(&was);
        } else {
            draft.by_text();
        }
        let (text, was) = (plain("mapping"), plain("mapping_was"));
        let before = Value::parse(&was).map(Value::into_owned).unwrap_or(Value::Null);
        let mut lines = mapping::read(form, fields);
        draft.mapping = text;
        if draft.mapping == was && fields.has("lines") {
            if let Some(value) = mapping::mapping(form, &mut lines, &before) {
                if value != before {
                    draft.mapping = pretty(&value);
                }
                draft.take(value);
            }
            draft.lines = Some(lines);
        } else {
            match Value::parse(&draft.mapping).map(Value::into_owned) {
                Ok(value) => {
                    draft.lines = mapping::lines(form, &value);
                    draft.redraw_lines = true;
                    draft.take(value);
                }
                Err(e) => {
                    draft.lines = fields.has("lines").then_some(lines);
                    draft.mapping_faults.push(format!("This is no JSON: {e}."));
                }
            }
        }
        draft
    }

    /// The mapping, if all can be saved as it is.
    pub(super) fn ready(&self) -> Option<Value<'static>> {
        let right = self.sound && self.mapping_faults.is_empty();
        if right { self.value.clone() } else { None }
    }

    fn empty(name: &str) -> Draft {
        Draft {
            name: name.to_owned(),
            trigger: String::new(),
            trigger_fault: String::new(),
            warnings: Vec::new(),
            conditions: Node::Group { how: super::conditions::How::All, parts: Vec::new() },
            trigger_by_form: false,
            redraw_conditions: false,
            mapping: String::new(),
            mapping_faults: Vec::new(),
            lines: None,
            redraw_lines: false,
            value: None,
            sound: false,
        }
    }

    fn by_conditions(&mut self, was: &str) {
        self.trigger_by_form = true;
        let Some(said) = self.conditions.trigger() else { return };
        self.sound = true;
        let (now, before) = (Trigger::parse(&said), Trigger::parse(was));
        let same = match (&now, &before) {
            (Ok(now), Ok(before)) => Node::of(now) == Node::of(before),
            (Ok(_) | Err(_), _) => false,
        };
        self.trigger = if same { was.to_owned() } else { said };
        self.warn(now.ok().as_ref());
    }

    fn by_text(&mut self) {
        match Trigger::parse(&self.trigger) {
            Ok(trigger) => {
                self.conditions = Node::of(&trigger);
                self.redraw_conditions = true;
                self.sound = true;
                self.warn(Some(&trigger));
            }
            Err(e) => {
                self.trigger_fault =
                    format!("Line {}, column {}: {}", e.line, e.column, sentence(&e.message));
            }
        }
    }

    fn warn(&mut self, trigger: Option<&Trigger>) {
        let warnings = trigger.into_iter().flat_map(Trigger::warnings);
        self.warnings = warnings.map(|warning| sentence(&warning.to_string())).collect();
    }

    fn take(&mut self, value: Value<'static>) {
        if let Err(faults) = Mapping::parse(&value) {
            self.mapping_faults = faults.iter().map(|f| sentence(&f.to_string())).collect();
        }
        self.value = Some(value);
    }

    /// The mapping as far as it is known, to preview with.
    pub(super) fn value(&self) -> Option<&Value<'static>> {
        self.value.as_ref()
    }

    /// True if the trigger can run.
    pub(super) fn sound(&self) -> bool {
        self.sound
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heapline_destinations as destinations;

    fn form() -> &'static ActionType {
        &destinations::find("heap").unwrap().definition().action_types[0]
    }

    fn read(pairs: &[(&str, &str)]) -> Draft {
        let pairs = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Draft::read(form(), &Fields(pairs.collect()))
    }

    const CONDITIONS: [(&str, &str); 5] =
        [("group", "all"), ("path", "event"), ("test", "is"), ("value", "Paid"), ("end", "")];

    #[test]
    fn of_text_and_conditions_the_changed_one_wins() {
        let with = |trigger: &'static str, was: &'static str| {
            let mut pairs = vec![("trigger", trigger), ("trigger_was", was)];
            pairs.extend(CONDITIONS);
            read(&pairs)
        };
        let was = r#"type = "track""#;
        assert_eq!(with(was, was).trigger, r#"event = "Paid""#);
        let text = r#"type = "page""#;
        let by_text = with(text, was);
        assert_eq!(by_text.trigger, text);
        assert_eq!(by_text.conditions, Node::of(&Trigger::parse(text).unwrap()));
        let kept = r#"  event="Paid""#.trim();
        assert_eq!(with(kept, kept).trigger, kept, "the same meaning keeps its text");
        let broken = with("type = ", was);
        assert!(broken.trigger_fault.starts_with("Line 1, column 8"), "{}", broken.trigger_fault);
        assert!(matches!(broken.conditions, Node::Group { parts, .. } if parts.len() == 1));
    }

    #[test]
    fn of_json_and_lines_the_changed_one_wins() {
        let lines = [("lines", ""), ("m.event.how", "literal"), ("m.event.value", "Paid")];
        let with = |mapping: &'static str, was: &'static str| {
            let mut pairs = vec![("mapping", mapping), ("mapping_was", was)];
            pairs.extend(lines);
            read(&pairs)
        };
        let event = |draft: &Draft| draft.value().and_then(|v| v.get("event")).cloned();
        assert_eq!(event(&with("{}", "{}")), Some(Value::from("Paid")));
        assert_eq!(event(&with(r#"{"event":"Sold"}"#, "{}")), Some(Value::from("Sold")));
        let broken = with("{", "{}");
        assert!(broken.mapping_faults[0].contains("no JSON") && broken.ready().is_none());
        let unknown = with(r#"{"event":{"@nothing":1}}"#, "{}");
        assert!(unknown.mapping_faults[0].contains("@nothing"), "{:?}", unknown.mapping_faults);
    }
}
