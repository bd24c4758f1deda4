//! From a configuration back to a file.

use serde_json::Value;

use crate::config::Config;

/// A sweep file of `config` alone, under the seeds 1 to `replicates`. It extends nothing and its paths are
/// absolute, so it means the same wherever it lies.
pub fn written(config: &Config, replicates: u64) -> String {
    let mut settings = match serde_json::to_value(config) {
        Ok(settings) => settings,
        Err(error) => unreachable!("plain data always becomes JSON: {error}"),
    };
    without_null(&mut settings);
    let settings = match toml::to_string(&settings) {
        Ok(settings) => settings,
        Err(error) => unreachable!("tables of plain values always become TOML: {error}"),
    };
    format!("replicates = {replicates}\n\n{settings}")
}

/// What is left out in JSON is `null`; in TOML it is left out.
fn without_null(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            entries.retain(|_, value| !value.is_null());
            entries.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}
