//! `docs/protocol.schema.json` is what the types say.

#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use std::path::Path;

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};
use spec::config::Config;
use spec::protocol::{Event, Order};

/// Orders as they leave the orchestrator, and events.
fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let order = generator.subschema_for::<Order<Config>>();
    let event = generator.subschema_for::<Event>();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The worker protocol: an order or an event, one a line",
        "anyOf": [order, event],
        "$defs": generator.take_definitions(true),
    })
}

/// With `UPDATE_SCHEMA` set it is written anew.
#[test]
fn the_schema_in_the_docs_is_that_of_the_types() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.schema.json");
    let made = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs_err::write(&file, &made).unwrap();
    }
    let kept = fs_err::read_to_string(&file).unwrap_or_default();
    assert!(kept == made, "{}: run this test with UPDATE_SCHEMA=1", file.display());
}

#[test]
fn what_the_docs_call_order_and_event_is_there() {
    let schema = schema();
    for name in ["Order", "Event"] {
        assert!(schema["$defs"][name].is_object(), "{name}");
    }
}
