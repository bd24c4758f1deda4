//! Progress in words.

use std::time::Duration;

use spec::protocol::Stage;
use spec::record::{EpochMetrics, Outcome};

use super::Activity;
use crate::report::{ScoreFormat, outcome_cause};

pub(super) fn activity(activity: &Activity<'_>) -> String {
    match activity {
        Activity::Nothing => String::new(),
        Activity::Starting => "worker starts".to_owned(),
        Activity::Stage { stage, done, total } => {
            let what = match stage {
                Stage::Decode => "decoding",
                Stage::Features => "features",
            };
            format!("{what} {done}/{total}")
        }
        Activity::Run { label, others } => format!("{label}{}", beside(*others)),
        Activity::Epoch { label, others, epochs, metrics } => {
            let (beside, epoch) = (beside(*others), metrics.epoch);
            let fold = metrics.fold.map(|fold| format!("fold {fold}, ")).unwrap_or_default();
            let of = epochs.map(|epochs| format!("/{epochs}")).unwrap_or_default();
            format!("{label}{beside}: {fold}epoch {epoch}{of}{}", loss(metrics))
        }
    }
}

/// The others that a worker trains at the same time.
fn beside(others: usize) -> String {
    if others == 0 { String::new() } else { format!(" (+{others})") }
}

fn loss(metrics: &EpochMetrics) -> String {
    match (metrics.val_loss, metrics.loss) {
        (Some(val_loss), _) => format!(", val_loss {val_loss:.4}"),
        (None, Some(loss)) => format!(", loss {loss:.4}"),
        (None, None) => String::new(),
    }
}

/// `[ 3/15] batch_size=16 seed 3: 73120 (12 epochs, 3.1 s)`: the score as the table will show it, but for
/// validation images where the label of no test image is known.
pub fn ended_line(
    (done, total): (usize, usize),
    label: &str,
    outcome: &Outcome,
    seconds: f64,
    format: ScoreFormat,
) -> String {
    let width = total.to_string().len();
    let how = match outcome {
        Outcome::Finished(finished) => {
            let test = finished.test.map(|told| told.accuracy()).or(finished.score);
            let validation = finished.validation.map(|told| told.accuracy());
            let score = match (test, validation) {
                (Some(score), _) => format.score(score),
                (None, Some(score)) => format!("validation {}", format.score(score)),
                (None, None) => "finished".to_owned(),
            };
            let epochs = if finished.epochs == 1 { "epoch" } else { "epochs" };
            format!("{score} ({} {epochs}, {seconds:.1} s)", finished.epochs)
        }
        outcome => {
            let cause = outcome_cause(outcome).and_then(|cause| cause.lines().next());
            format!("{}: {} ({seconds:.1} s)", outcome.name(), cause.unwrap_or_default())
        }
    };
    format!("[{done:>width$}/{total}] {label}: {how}")
}

pub(super) fn to_expect(rest: Option<Duration>) -> String {
    match rest {
        Some(rest) if rest.is_zero() => String::new(),
        Some(rest) => {
            let whole_seconds = Duration::from_secs(rest.as_secs().max(1));
            format!("about {} to go", humantime::format_duration(whole_seconds))
        }
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::record::{Evaluation, Finished};

    #[test]
    fn a_slot_shows_one_run_and_counts_those_beside_it() {
        let metrics = EpochMetrics {
            fold: None,
            epoch: 3,
            loss: Some(0.5),
            accuracy: Some(0.5),
            val_loss: None,
            val_accuracy: None,
            val_auc: None,
            learning_rate: Some(1e-4),
            seconds: 0.1,
        };
        let folded = &EpochMetrics { fold: Some(2), ..metrics };
        let (label, epochs, metrics) = ("batch_size=16 seed 3", Some(50), &metrics);
        let lines = [
            Activity::Run { label, others: 0 },
            Activity::Run { label, others: 1 },
            Activity::Epoch { label, others: 0, epochs, metrics },
            Activity::Epoch { label, others: 14, epochs, metrics: folded },
        ];
        insta::assert_snapshot!(lines.map(|line| activity(&line)).join("\n"), @"
        batch_size=16 seed 3
        batch_size=16 seed 3 (+1)
        batch_size=16 seed 3: epoch 3/50, loss 0.5000
        batch_size=16 seed 3 (+14): fold 2, epoch 3/50, loss 0.5000
        ");
    }

    #[test]
    fn a_line_for_each_way_to_end() {
        let finished = |epochs, test, validation| {
            Outcome::Finished(Finished {
                epochs,
                updates: 1,
                images_seen: 1,
                stopped_early: None,
                validation,
                test,
                score: None,
                folds: Vec::new(),
            })
        };
        let some = Some(Evaluation { images: 10_000, correct: 7_312, loss: 0.5 });
        let failed = Outcome::Failed { cause: "a\nb".to_owned() };
        let (label, document) = ("batch_size=16 seed 3", ScoreFormat::Document);
        let lines = [
            ended_line((3, 15), label, &finished(12, some, some), 3.12, document),
            ended_line((4, 15), label, &finished(12, None, some), 3.12, document),
            ended_line((5, 15), label, &finished(12, some, None), 3.12, ScoreFormat::Percent),
            ended_line((15, 15), "baseline seed 1", &finished(1, None, None), 0.0, document),
            ended_line((4, 5), "x=1 seed 1", &failed, 9.96, document),
        ];
        insta::assert_snapshot!(lines.join("\n"), @"
        [ 3/15] batch_size=16 seed 3: 73120 (12 epochs, 3.1 s)
        [ 4/15] batch_size=16 seed 3: validation 73120 (12 epochs, 3.1 s)
        [ 5/15] batch_size=16 seed 3: 73.12 (12 epochs, 3.1 s)
        [15/15] baseline seed 1: finished (1 epoch, 0.0 s)
        [4/5] x=1 seed 1: failed: a (10.0 s)
        ");
    }
}
