//! `[params]`: settings of a trainer of the user's own, and which keys a sweep has with them.
//!
//! The file furthest down the chain that has a `[params]` declares them: each with its value, which is the
//! baseline's, and with that value's type, which every other value has to be of. Everywhere else they are
//! keys as the built-in ones are.

use std::sync::Mutex;

use super::error::Problem;
use super::keys::{Key, Keys, PARAMS, Section};
use super::kind::Kind;
use super::layer::shown;
use super::source::{Reader, Source};
use super::value::{Entry, Value};
use crate::placeholders::RESERVED;

/// The keys of a sweep whose files say `files`, topmost first: those of the built-in trainer unless one of
/// them names another. What is wrong with a declaration goes to `problems`.
pub(super) fn keys_of<'a>(
    files: impl DoubleEndedIterator<Item = (&'a std::sync::Arc<Source>, &'a [Entry])> + Clone,
    problems: &mut Vec<Problem>,
) -> &'static Keys {
    if !files.clone().any(|(_, entries)| names_trainer(entries)) {
        return Keys::builtin();
    }
    let declared = files.rev().find_map(|(source, entries)| {
        let params = entries.iter().find(|entry| entry.key == PARAMS)?;
        Some((source, params))
    });
    let keys = match declared {
        Some((source, Entry { value, .. })) => match &value.value {
            Value::Table(entries) => {
                let mut reader = Reader { source, problems, keys: Keys::builtin() };
                declarations(entries, &mut reader)
            }
            // Reported where it is read.
            _ => Vec::new(),
        },
        None => Vec::new(),
    };
    interned(Section { name: PARAMS.to_owned(), optional: false, keys })
}

fn names_trainer(entries: &[Entry]) -> bool {
    entries.iter().any(|entry| match (entry.key.as_str(), &entry.value.value) {
        ("trainer", _) => true,
        ("baseline", Value::Table(inner)) => {
            inner.iter().any(|entry| entry.key == "trainer" || entry.key.starts_with("trainer."))
        }
        _ => false,
    })
}

fn declarations(entries: &[Entry], reader: &mut Reader<'_>) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    for entry in entries {
        let name = entry.key.as_str();
        let unfit = if !is_name(name) {
            Some("a name is letters, digits and underscores, a letter first")
        } else if name == "label" || RESERVED.contains(&name) {
            Some("this name has a meaning of its own")
        } else if keys.iter().any(|key| key.name.eq_ignore_ascii_case(name)) {
            Some("environment variables do not tell it from one above")
        } else {
            None
        };
        if let Some(label) = unfit {
            let problem = Problem::new(format!("no setting can be called {}", shown(name)))
                .with_help("call it something else");
            reader.report(&entry.key_span, label, problem);
        }
        keys.push(Key {
            path: format!("{PARAMS}.{name}"),
            name: name.to_owned(),
            optional: false,
            required: false,
            kind: Kind::like(&entry.value.value),
        });
    }
    keys
}

fn is_name(name: &str) -> bool {
    let rest = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(rest)
}

/// Keys live as long as the program, as those of the built-in trainer do; each list is made once.
fn interned(params: Section) -> &'static Keys {
    static MADE: Mutex<Vec<&'static Keys>> = Mutex::new(Vec::new());
    let mut made = MADE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let known = made.iter().find(|keys| keys.section(PARAMS) == Some(&params));
    if let Some(keys) = known {
        return keys;
    }
    let keys: &'static Keys = Box::leak(Box::new(Keys::own(params)));
    made.push(keys);
    keys
}
