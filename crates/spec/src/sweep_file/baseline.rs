//! How a table calls the baseline among the levels of a factor.

use super::keys::{Key, Keys, Section, Target};
use super::levels::default_label;
use super::stack::Stack;
use super::value::Value;
use crate::config::Config;

/// What `baseline` has where the levels of a factor change `targets`. `own` is what the factor's name stands
/// for; its value goes without a name, as those of the levels do.
pub(super) fn label(
    targets: &[Target],
    own: Option<Target>,
    (stack, config): (&Stack, &Config),
) -> String {
    let config = serde_json::to_value(config).unwrap_or_default();
    let is_on = |section: &Section| config.get(&section.name).is_some_and(|table| !table.is_null());
    if let Some(Target::Section(section)) = own
        && !is_on(section)
    {
        return default_label(own, &Value::Boolean(false));
    }
    let value = |section: &'static Section, key: &'static Key| {
        let resolved = &config[&section.name][&key.name];
        match stack.value(key) {
            Some(written) => default_label(Some(Target::Key(section, key)), written),
            None if resolved.is_null() => "off".to_owned(),
            None => default_label(None, &Value::from(resolved)),
        }
    };
    let parts = targets.iter().filter_map(|target| match *target {
        Target::Key(section, key) if own.is_some_and(|own| own.path() == key.path) => {
            Some(value(section, key))
        }
        Target::Key(section, key) => {
            let name = name(stack.keys(), own, section, key);
            Some(format!("{name} = {}", value(section, key)))
        }
        // What is switched on is known by its keys.
        Target::Section(section) if is_on(section) => None,
        Target::Section(section) => Some(format!("{} = off", section.name)),
    });
    let label = parts.collect::<Vec<_>>().join(", ");
    if label.is_empty() { default_label(own, &Value::Boolean(true)) } else { label }
}

/// The key's own name where that is enough.
fn name<'a>(keys: &'static Keys, own: Option<Target>, section: &Section, key: &'a Key) -> &'a str {
    let is_own = matches!(own, Some(Target::Section(own)) if own.name == section.name);
    let is_meant = keys.find(&key.name).is_ok_and(|target| target.path() == key.path);
    if is_own || is_meant { &key.name } else { &key.path }
}
