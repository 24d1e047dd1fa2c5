//! The OpenAPI document: what the code says, kept as a file, so that a change of the API is seen.

use std::path::Path;

#[test]
fn the_kept_document_is_what_the_code_says() {
    let says = heapline_server::admin::openapi().to_pretty_json().unwrap() + "\n";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    if std::env::var_os("HEAPLINE_WRITE_OPENAPI").is_some() {
        std::fs::write(&file, &says).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(
        kept == says,
        "docs/openapi.json is of an older API; write it anew with HEAPLINE_WRITE_OPENAPI=1 cargo test -p heapline-server --test api description"
    );
}

#[test]
fn every_operation_and_field_is_described() {
    let says = serde_json::to_value(heapline_server::admin::openapi()).unwrap();
    let mut bare = Vec::new();
    for (path, item) in says["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation.get("summary").is_none() {
                bare.push(format!("{method} {path}"));
            }
        }
    }
    for (name, schema) in says["components"]["schemas"].as_object().unwrap() {
        for (field, form) in schema["properties"].as_object().into_iter().flatten() {
            // What may be null has its description with the form that it is otherwise.
            let forms = form["oneOf"].as_array().into_iter().flatten();
            let has_one = |form: &serde_json::Value| form.get("description").is_some();
            if !has_one(form) && !forms.clone().any(has_one) {
                bare.push(format!("{name}.{field}"));
            }
        }
    }
    assert!(bare.is_empty(), "without a description: {bare:?}");
}
