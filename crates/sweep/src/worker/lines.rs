//! What comes out of a worker's stdout, line by line, each checked.

use std::io::{BufRead, Read as _};

use spec::protocol::Event;

/// The longest line: predictions for a hundred thousand images of a hundred classes fit.
const LONGEST: usize = 64 << 20;

/// A line, understood or not.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// An event.
    Event(Box<Event>),
    /// Something else: what the worker did wrong, as the rest of "the worker ...".
    Breach(String),
}

/// The lines of a worker's stdout; a breach is the last of them.
#[derive(Debug)]
pub struct Lines<R> {
    from: R,
    ended: bool,
}

impl<R: BufRead> Lines<R> {
    /// All lines of `from`.
    pub fn new(from: R) -> Self {
        Self { from, ended: false }
    }

    fn read(&mut self) -> Option<Line> {
        let mut line = Vec::new();
        let limit = LONGEST as u64 + 1;
        match self.from.by_ref().take(limit).read_until(b'\n', &mut line) {
            Err(error) => return Some(Line::Breach(format!("cannot be heard: {error}"))),
            Ok(0) => return None,
            Ok(_) => {}
        }
        if line.last() != Some(&b'\n') {
            let what = if line.len() > LONGEST {
                "wrote a line of over 64 MiB"
            } else {
                "ended in the middle of a line"
            };
            return Some(Line::Breach(format!("{what}: {}", beginning(&line))));
        }
        match serde_json::from_slice(&line) {
            Ok(event) => Some(Line::Event(Box::new(event))),
            Err(error) => Some(Line::Breach(format!(
                "wrote a line that is no event ({error}): {}",
                beginning(&line)
            ))),
        }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        if self.ended {
            return None;
        }
        let line = self.read();
        self.ended = !matches!(line, Some(Line::Event(_)));
        line
    }
}

/// Enough of a line to recognise it.
fn beginning(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(400)]);
    let text = text.trim_end();
    let shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    let more = if text.chars().count() > 80 { "..." } else { "" };
    format!("`{shown}{more}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: impl AsRef<[u8]>) -> Vec<Line> {
        Lines::new(text.as_ref()).collect()
    }

    fn breach(text: impl AsRef<[u8]>) -> String {
        match lines(text).pop() {
            Some(Line::Breach(what)) => what,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn events_are_understood() {
        let idle = Line::Event(Box::new(Event::Idle));
        assert_eq!(lines("{\"type\":\"idle\"}\n{\"type\":\"idle\"}\n"), [idle.clone(), idle]);
        assert_eq!(lines(""), []);
    }

    #[test]
    fn anything_else_is_said_plainly_and_is_the_last_line() {
        insta::assert_snapshot!(
            breach("{\"type\":\"idle\"}\nLoading model\u{1b}[0m...\n{\"type\":\"idle\"}\n"),
            @r"wrote a line that is no event (expected value at line 1 column 1): `Loading model\u{1b}[0m...`"
        );
        insta::assert_snapshot!(breach("{\"type\":\"id"), @r#"ended in the middle of a line: `{\"type\":\"id`"#);
        insta::assert_snapshot!(breach([0xff, b'\n']), @"wrote a line that is no event (expected value at line 1 column 1): `�`");
        assert_eq!(lines("x\ny\n").len(), 1);
    }

    #[test]
    fn a_line_without_end_is_given_up() {
        let endless = std::io::BufReader::new(std::io::repeat(b'x'));
        let first = Lines::new(endless).next();
        let Some(Line::Breach(what)) = first else { panic!("{first:?}") };
        assert!(what.starts_with("wrote a line of over 64 MiB: `xxx"), "{what}");
    }
}
