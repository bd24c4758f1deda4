//! The JSON Schema of sweep files, for editors.
//!
//! Sections and keys of the baseline come from the schema of [`Own`], as everything else about them
//! does; the keys that only a file has are written here, and a test holds them to those that are read.

use serde_json::{Map, Value, json};

use super::document::own_keys;
use super::keys::{KEYS, PARAMS};
use super::{schedule, score, slurm};
use crate::config::Own;

/// The JSON Schema of sweep files. It knows names, types and words; what hangs on several keys together
/// only reading a file can tell.
pub fn json_schema() -> Value {
    let config = schemars::schema_for!(Own).to_value();
    let mut definitions = config["$defs"].as_object().cloned().unwrap_or_default();
    let mut sections = Map::new();
    let builtin = KEYS.sections.iter().map(|section| (section.name.as_str(), Some(section)));
    for (name, section) in builtin.chain([("trainer", None)]) {
        let own = &config["properties"][name];
        let table = followed(own, &config);
        let mut schema = json!({ "type": "object", "additionalProperties": false });
        for word in ["title", "description"] {
            if let Some(text) = own.get(word).or_else(|| table.get(word)) {
                schema[word] = text.clone();
            }
        }
        let keys = table["properties"].as_object().cloned().unwrap_or_default();
        let keys = keys.into_iter().map(|(name, key)| {
            let key_of = section.and_then(|section| section.key(&name));
            let optional = key_of.is_some_and(|key| key.optional);
            (name, if optional { or_off(key) } else { key })
        });
        schema["properties"] = Value::Object(keys.collect());
        let schema = if section.is_some_and(|section| section.optional) {
            or_switch(schema)
        } else {
            schema
        };
        let definition = format!("section_{name}");
        sections.insert(name.to_owned(), json!({ "$ref": format!("#/$defs/{definition}") }));
        definitions.insert(definition, schema);
    }
    let params = "Settings of a trainer of your own.";
    sections.insert(PARAMS.to_owned(), json!({ "description": params, "type": "object" }));
    let mut properties = sections.clone();
    for key in own_keys() {
        properties.insert(key.to_owned(), own_key(key, &sections));
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Sweep file",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "$defs": definitions,
    })
}

/// What a reference, or the first of several alternatives, leads to.
fn followed<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let schema = schema["anyOf"].get(0).unwrap_or(schema);
    match schema["$ref"].as_str().and_then(|path| path.strip_prefix('#')) {
        Some(path) => root.pointer(path).unwrap_or(schema),
        None => schema,
    }
}

/// A key that `false` leaves out for good.
fn or_off(key: Value) -> Value {
    let description = key["description"].clone();
    let mut key = json!({ "anyOf": [key, { "const": false }] });
    if !description.is_null() {
        key["description"] = description;
    }
    key
}

/// A section that `true` and `false` switch on and off.
fn or_switch(section: Value) -> Value {
    let description = section["description"].clone();
    json!({ "description": description, "anyOf": [section, { "type": "boolean" }] })
}

/// A key that only a file has.
fn own_key(key: &str, sections: &Map<String, Value>) -> Value {
    let table = |keys: &[&str]| {
        let keys: Map<String, Value> =
            keys.iter().map(|key| ((*key).to_owned(), json!(true))).collect();
        json!({ "type": "object", "properties": keys, "additionalProperties": false })
    };
    let whole = json!({ "type": "integer", "minimum": 1 });
    let (description, schema) = match key {
        "extends" => ("Another sweep file, relative to this one.", json!({ "type": "string" })),
        "title" => (
            "Heading of the report; never taken over by a file that extends this one.",
            json!({ "type": "string" }),
        ),
        "strategy" => (
            "How the sweep becomes configurations.",
            json!({ "enum": ["ofat", "grid", "random", "chain"] }),
        ),
        "replicates" => (
            "Runs of each configuration, under the seeds 1, 2, 3, ...; or how many at least and at most.",
            json!({ "anyOf": [whole, { "type": "object" }] }),
        ),
        "margin" => ("Differences below it do not matter.", json!({ "type": "number" })),
        "samples" => ("How many combinations a random sweep draws.", whole),
        "switch" => (
            "What a level of a chain takes to become the next baseline.",
            json!({ "enum": ["evidence", "best"] }),
        ),
        "choose_by" => {
            ("Which score a chain chooses by.", json!({ "enum": ["validation", "test"] }))
        }
        "baseline" => (
            "The baseline: its sections, or keys by their own names.",
            json!({ "type": "object", "properties": sections }),
        ),
        "factors" => (
            "What to vary: for each key, its levels; false takes an inherited factor away.",
            json!({ "type": "object", "additionalProperties": true, "minProperties": 1 }),
        ),
        "schedule" => {
            ("Where and how it runs; nothing here changes a result.", table(&schedule::KEYS))
        }
        "slurm" => ("What a Slurm cluster is asked for.", table(&slurm::KEYS)),
        "score" => ("How a leaderboard is asked for a score.", table(&score::KEYS)),
        _ => return json!(true),
    };
    let mut schema = schema;
    schema["description"] = json!(description);
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_that_is_read_is_there() {
        let schema = json_schema();
        for key in own_keys().chain(KEYS.sections.iter().map(|section| section.name.as_str())) {
            assert!(schema["properties"].get(key).is_some(), "{key}");
        }
        let train = &schema["$defs"]["section_train"]["properties"];
        assert_eq!(train.as_object().unwrap().len(), KEYS.section("train").unwrap().keys.len());
        assert!(train["batch_size"]["description"].is_string());
        assert_eq!(train["steps_per_epoch"]["anyOf"][1], json!({ "const": false }));
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn check(value: &Value, root: &Value) {
            match value {
                Value::Object(entries) => {
                    if let Some(path) = entries.get("$ref").and_then(Value::as_str) {
                        assert!(root.pointer(path.trim_start_matches('#')).is_some(), "{path}");
                    }
                    entries.values().for_each(|value| check(value, root));
                }
                Value::Array(items) => items.iter().for_each(|value| check(value, root)),
                _ => {}
            }
        }
        let schema = json_schema();
        check(&schema, &schema);
    }
}
