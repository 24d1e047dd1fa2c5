//! The catalog holds every destination's folder, once.

use std::collections::BTreeSet;

use heapline_destinations::{catalog, find};

/// Folders of the crate that are no destinations.
const OTHER: &[&str] = &["src", "tests", "vectors"];

#[test]
fn every_folder_is_in_the_catalog() {
    let folders: BTreeSet<String> = std::fs::read_dir(env!("CARGO_MANIFEST_DIR"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| !OTHER.contains(&name.as_str()))
        .collect();
    let slugs: Vec<String> =
        catalog().iter().map(|d| d.definition().slug.replace('-', "_")).collect();
    assert_eq!(slugs.len(), slugs.iter().collect::<BTreeSet<_>>().len(), "a slug twice: {slugs:?}");
    assert_eq!(folders, slugs.into_iter().collect(), "folders beside slugs");
}

#[test]
fn every_destination_is_found_by_its_slug() {
    for destination in catalog() {
        let slug = destination.definition().slug;
        assert_eq!(find(slug).unwrap().definition().slug, slug);
    }
    assert!(find("nowhere").is_none());
}

#[test]
fn every_preset_has_its_action_type() {
    for destination in catalog() {
        let definition = destination.definition();
        for preset in definition.presets {
            assert!(
                definition.action_types.iter().any(|a| a.slug == preset.action_type),
                "{}",
                preset.name
            );
        }
    }
}
