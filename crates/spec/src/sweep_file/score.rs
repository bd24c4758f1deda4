//! `[score]`: how a leaderboard is asked for a score.

use super::document::unknown_in;
use super::scalars;
use super::source::Reader;
use super::value::Entry;

pub(super) const KEYS: [&str; 1] = ["command"];

/// What one file says of it; what it does not say is absent.
#[derive(Debug, Default)]
pub(super) struct WrittenScore {
    command: Option<Vec<String>>,
}

impl WrittenScore {
    pub(super) fn read_entry(&mut self, entry: &Entry, reader: &mut Reader<'_>) {
        match entry.key.as_str() {
            "command" => {
                let example = "\"./submit.sh\", \"{submission}\"";
                self.command =
                    scalars::lines("score.command", example, |_| None, &entry.value, reader);
            }
            _ => unknown_in("score", &KEYS, entry, reader),
        }
    }

    /// What `layers` say together, the first over those that follow.
    pub(super) fn resolve<'a>(mut layers: impl Iterator<Item = &'a Self>) -> Vec<String> {
        layers.find_map(|layer| layer.command.clone()).unwrap_or_default()
    }
}
