//! What a program says of its training: a JSON object a line, or a score by itself.

use serde_json::{Map, Value};
use spec::record::EpochMetrics;

/// A line that means something.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    /// An epoch, where the line has `epoch`. Numbers that are none (NaN, infinities) are absent from it.
    pub(super) epoch: Option<EpochMetrics>,
    /// Whether its loss is no number.
    pub(super) diverged: bool,
    /// `score`; not a number where the line says so.
    pub(super) score: Option<f64>,
    /// `updates`: steps taken in all.
    pub(super) updates: Option<u64>,
    /// `images_seen`: images that went through them.
    pub(super) images_seen: Option<u64>,
}

/// What a line measures; none when it is no JSON object with `epoch` or `score`. `seconds` have gone by
/// since the last epoch.
pub(super) fn measured(line: &[u8], seconds: f64) -> Option<Measured> {
    let line = std::str::from_utf8(line).ok()?.trim();
    if !line.starts_with('{') {
        return None;
    }
    let object: Map<String, Value> =
        serde_json::from_str(line).or_else(|_| serde_json::from_str(&quoted(line))).ok()?;
    let number = |name: &str| object.get(name).and_then(number);
    let finite = |name: &str| number(name).filter(|number| number.is_finite());
    let whole = |name: &str| object.get(name).and_then(Value::as_u64);
    let epoch = whole("epoch").and_then(|epoch| u32::try_from(epoch).ok());
    let score = number("score");
    if epoch.is_none() && score.is_none() {
        return None;
    }
    Some(Measured {
        epoch: epoch.map(|epoch| EpochMetrics {
            fold: whole("fold").and_then(|fold| u32::try_from(fold).ok()),
            epoch,
            loss: finite("loss"),
            accuracy: finite("accuracy"),
            val_loss: finite("val_loss"),
            val_accuracy: finite("val_accuracy"),
            val_auc: finite("val_auc"),
            learning_rate: finite("learning_rate"),
            seconds: finite("seconds").unwrap_or(seconds),
        }),
        diverged: number("loss").is_some_and(|loss| !loss.is_finite()),
        score,
        updates: whole("updates"),
        images_seen: whole("images_seen"),
    })
}

/// The score that a line is: `0.873`, `score: 0.873` or `score = 0.873`.
pub(super) fn score(line: &str) -> Option<f64> {
    let line = line.trim();
    let rest = match line.get(..5) {
        Some(word) if word.eq_ignore_ascii_case("score") => line[5..].trim_start(),
        _ => line,
    };
    let number = rest.strip_prefix([':', '=']).unwrap_or(rest).trim();
    number.parse().ok()
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

/// Python writes numbers that JSON does not know; in quotes it does.
fn quoted(line: &str) -> String {
    let mut quoted = String::new();
    let mut rest = line;
    let mut in_text = false;
    while let Some(c) = rest.chars().next() {
        let word = ["NaN", "-Infinity", "Infinity"].into_iter().find(|word| rest.starts_with(word));
        match (in_text, c, word) {
            (false, _, Some(word)) => {
                quoted += &format!("\"{word}\"");
                rest = &rest[word.len()..];
                continue;
            }
            (true, '\\', _) => {
                let length = rest.chars().take(2).map(char::len_utf8).sum();
                quoted += &rest[..length];
                rest = &rest[length..];
                continue;
            }
            (_, '"', _) => in_text = !in_text,
            _ => {}
        }
        quoted.push(c);
        rest = &rest[c.len_utf8()..];
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> String {
        match measured(line.as_bytes(), 1.5) {
            None => "nothing".to_owned(),
            Some(said) => {
                let epoch = said.epoch.map(|epoch| {
                    format!(
                        "epoch {} {:?} {:?} {}",
                        epoch.epoch, epoch.loss, epoch.val_loss, epoch.seconds
                    )
                });
                format!("{epoch:?} {} {:?} {:?}", said.diverged, said.score, said.updates)
            }
        }
    }

    #[test]
    fn lines_mean_something_or_nothing() {
        let lines = [
            r#"{"epoch": 3, "loss": 0.5, "val_loss": 1, "f1": 0.2}"#,
            r#"  {"epoch": 1, "seconds": 0.25}"#,
            r#"{"epoch": 1, "loss": NaN, "note": "a \" NaN"}"#,
            r#"{"score": 0.75, "updates": 100}"#,
            r#"{"score": -Infinity}"#,
            r#"{"epoch": 1.5}"#,
            r#"{"progress": 0.5}"#,
            r#"{"epoch": 1"#,
            "Epoch 1/50",
            "",
        ];
        let all: Vec<String> = lines.iter().map(|line| said(line)).collect();
        insta::assert_snapshot!(all.join("\n"), @r#"
        Some("epoch 3 Some(0.5) Some(1.0) 1.5") false None None
        Some("epoch 1 None None 0.25") false None None
        Some("epoch 1 None None 1.5") true None None
        None false Some(0.75) Some(100)
        None false Some(-inf) None
        nothing
        nothing
        nothing
        nothing
        nothing
        "#);
        assert_eq!(measured(b"\xff{}", 0.0), None);
    }

    #[test]
    fn a_score_may_stand_by_itself() {
        for (line, expected) in [
            ("0.873", Some(0.873)),
            (" 1 ", Some(1.0)),
            ("score: 0.5", Some(0.5)),
            ("Score = 5e-1", Some(0.5)),
            ("score 0.5", Some(0.5)),
            ("accuracy: 0.5", None),
            ("scored 0.5", None),
            ("0.5 %", None),
            ("done", None),
            ("\u{e9}\u{e9}\u{e9}", None),
            ("", None),
        ] {
            assert_eq!(score(line), expected, "{line}");
        }
        assert!(score("score: nan").is_some_and(f64::is_nan));
    }
}
