//! The integration by which the server delivers what a page couldn't.

use std::sync::Arc;

use heapline_action::destination::{Configured, Fallback};
use heapline_action::value::{Object, Value};
use heapline_destinations as destinations;

use super::Integration;

/// The fallback of `page`, whose actions were written as `list`, if it has one. It has the same id,
/// sources, triggers and mappings.
pub(super) fn of(page: &Integration, list: Option<&Value<'_>>) -> Option<Arc<Integration>> {
    let Configured::Web(web) = &page.configured else { return None };
    let fallback = web.fallback()?;
    let destination = destinations::find(fallback.destination)?;
    let definition = destination.definition();
    let configured = destination.configure(&fallback.settings).ok()?;
    let list = Value::Array(written(page, list, &fallback));
    let actions = destinations::actions(definition, Some(&list)).ok()?;
    Some(Arc::new(Integration {
        id: page.id.clone(),
        name: page.name.clone(),
        destination,
        configured,
        settings: fallback.settings,
        enabled: page.enabled,
        sources: page.sources.clone(),
        reads: heapline_action::pipeline::reads(&actions),
        actions,
        fallback: None,
        for_pages: true,
        fingerprint: page.fingerprint.clone(),
    }))
}

/// The page's actions as the other destination's are written.
fn written(
    page: &Integration,
    list: Option<&Value<'_>>,
    fallback: &Fallback,
) -> Vec<Value<'static>> {
    let types = page.destination.definition().action_types;
    let items = list.and_then(Value::as_array).unwrap_or_default();
    let action = |(at, action): (usize, &heapline_action::pipeline::Action)| {
        let form = types.get(action.action_type)?;
        let (_, fields) = fallback.fields.iter().find(|(slug, _)| *slug == form.slug)?;
        let given = items.get(at).and_then(|item| item.get("mapping")?.as_object());
        let defaults = destinations::default_mapping(form);
        let theirs = destinations::find(fallback.destination)?.definition().action_types;
        let theirs = theirs.iter().find(|theirs| theirs.slug == form.slug)?;
        let mut mapping = destinations::default_mapping(theirs);
        for (own, other) in *fields {
            if let Some(value) = given.unwrap_or(&defaults).get(own) {
                mapping.insert(*other, value.clone().into_owned());
            }
        }
        let mut item = Object::new();
        item.insert("id", Value::from(action.id.clone()));
        item.insert("name", Value::from(action.name.clone()));
        item.insert("action", Value::from(form.slug));
        item.insert("enabled", Value::from(action.enabled));
        item.insert("trigger", Value::from(action.trigger_text.clone()));
        item.insert("mapping", Value::Object(mapping));
        Some(Value::Object(item))
    };
    page.actions.iter().enumerate().filter_map(action).collect()
}
