//! What comes of a run whose program has ended.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{self, ExitStatus};

use rustix::process::{Resource, Rlimit, Signal, getpid, kill_process, setrlimit};
use signal_hook::consts::SIGKILL;
use spec::record::{Evaluation, Finished, Outcome};

/// With this exit code (`EX_TEMPFAIL` of sysexits.h) a program asks to be tried again.
const TRY_AGAIN: i32 = 75;

/// Scores given with so many digits less are the same score.
const SAME: f64 = 1e-3;

/// So many lines of what it said last are shown.
const LAST_LINES: usize = 10;

/// What libraries say when memory runs out: PyTorch, TensorFlow, JAX, Python, C++.
const OUT_OF_MEMORY: [&str; 6] = [
    "out of memory",
    "OutOfMemoryError",
    "ResourceExhaustedError",
    "RESOURCE_EXHAUSTED",
    "MemoryError",
    "std::bad_alloc",
];

/// A program that did not end by its own will.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crash {
    Signal(i32),
    Code(i32),
}

/// All that is known of a program that has ended by itself.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The highest epoch that it told of.
    pub(super) epochs: u32,
    pub(super) updates: u64,
    pub(super) images_seen: u64,
    /// The score, as a number, and what was there to be one.
    pub(super) score: Option<f64>,
    pub(super) last_line: String,
    /// Whether its last loss was no number.
    pub(super) diverged: bool,
    pub(super) validation: Option<Evaluation>,
    pub(super) test: Option<Evaluation>,
    /// What is wrong with its predictions: the rest of "its predictions ...".
    pub(super) bad_predictions: Option<String>,
    /// The last of what it said on stderr, or on stdout where it said nothing there.
    pub(super) last_words: String,
}

impl Crash {
    /// Ends as the program did, so that the orchestrator sees what it would see of a worker that crashed.
    pub(super) fn share(self) -> ! {
        if let Self::Signal(signal) = self {
            // The program has left its core already.
            let none = Rlimit { current: Some(0), maximum: Some(0) };
            let _ = setrlimit(Resource::Core, none);
            let _ = signal_hook::low_level::emulate_default_handler(signal);
            let _ = kill_process(getpid(), Signal::KILL);
        }
        let (Self::Code(code) | Self::Signal(code)) = self;
        process::exit(code)
    }
}

/// What comes of it.
pub(super) fn conclude(status: ExitStatus, known: &Known) -> Result<Outcome, Crash> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(finish(known)),
        (Some(TRY_AGAIN), _) => Err(Crash::Code(TRY_AGAIN)),
        (Some(code), _) => Ok(fail(code, &known.last_words)),
        (None, signal) => Err(Crash::Signal(signal.unwrap_or(SIGKILL))),
    }
}

fn fail(code: i32, last_words: &str) -> Outcome {
    let lines: Vec<&str> = last_words.trim_end().lines().collect();
    let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
    let out_of_memory = lines
        .iter()
        .rev()
        .take(LAST_LINES)
        .find(|line| OUT_OF_MEMORY.iter().any(|words| line.contains(words)));
    if let Some(line) = out_of_memory {
        return Outcome::OutOfMemory { cause: line.trim().to_owned() };
    }
    let cause = match last.as_str() {
        "" => format!("the trainer ended with exit code {code} and said nothing"),
        last => format!("the trainer ended with exit code {code}; its last words:\n{last}"),
    };
    Outcome::Failed { cause }
}

fn finish(known: &Known) -> Outcome {
    let failed = |cause: String| Outcome::Failed { cause };
    let diverged =
        |cause: &str| Outcome::Diverged { epoch: known.epochs.max(1), cause: cause.to_owned() };
    if let Some(what) = &known.bad_predictions {
        return failed(format!("its predictions {what}"));
    }
    match known.score {
        Some(score) if !score.is_finite() => return diverged("the score is no finite number"),
        Some(score) if !(0.0..=1.0).contains(&score) => {
            return failed(format!(
                "the score {score} is no fraction from 0 to 1, where larger is better\n\
                 report an accuracy, an area under a curve or the like; an error e as 1 - e or 1 / (1 + e)"
            ));
        }
        Some(score) => {
            if let Some(test) = known.test.filter(|test| (test.accuracy() - score).abs() > SAME) {
                return failed(format!(
                    "the score is {score}, and of its test predictions {} are right\n\
                     leave one of the two out: which is compared would be a guess",
                    test.accuracy()
                ));
            }
        }
        None if known.test.is_some() || known.validation.is_some() => {}
        None if known.diverged => return diverged("the loss is no finite number"),
        None => {
            let last = match known.last_line.as_str() {
                "" => "it printed nothing".to_owned(),
                line => format!("its last line is `{}`", line.escape_debug()),
            };
            return failed(format!(
                "the trainer ended without a score: {last}\n\
                 print it as the last line, or {{\"score\": 0.5}}, or write it to the file SWEEP_SCORE"
            ));
        }
    }
    Outcome::Finished(Finished {
        epochs: known.epochs,
        updates: known.updates,
        images_seen: known.images_seen,
        stopped_early: None,
        validation: known.validation,
        test: known.test,
        score: known.score.filter(|_| known.test.is_none()),
        folds: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: i32, known: Known) -> String {
        match conclude(ExitStatus::from_raw(code << 8), &known) {
            Ok(Outcome::Finished(finished)) => {
                format!(
                    "finished: {:?} {:?}",
                    finished.score,
                    finished.test.map(|test| test.correct)
                )
            }
            Ok(outcome) => format!(
                "{}: {}",
                outcome.name(),
                crate::report::outcome_cause(&outcome).unwrap_or_default()
            ),
            Err(crash) => format!("{crash:?}"),
        }
    }

    #[test]
    fn every_end_is_something() {
        let test = Some(Evaluation { images: 4, correct: 3, loss: 0.5 });
        let words = |text: &str| Known { last_words: text.to_owned(), ..Known::default() };
        let score = |score: f64| Known { score: Some(score), ..Known::default() };
        let all = [
            said(0, score(0.5)),
            said(0, Known { test, ..score(0.75) }),
            said(0, Known { test, ..Known::default() }),
            said(0, Known { test, ..score(0.5) }),
            said(0, score(f64::NAN)),
            said(0, score(3.5)),
            said(0, Known { diverged: true, epochs: 7, ..Known::default() }),
            said(0, Known { last_line: "bye".to_owned(), ..Known::default() }),
            said(0, Known::default()),
            said(0, Known { bad_predictions: Some("are odd".to_owned()), ..score(0.5) }),
            said(1, words("Traceback\n  line 3\nValueError: x\n")),
            said(1, words("torch.OutOfMemoryError: CUDA out of memory. Tried\n")),
            said(2, words("")),
            said(75, words("the network is down")),
        ];
        insta::assert_snapshot!(all.join("\n"), @r#"
        finished: Some(0.5) None
        finished: None Some(3)
        finished: None Some(3)
        failed: the score is 0.5, and of its test predictions 0.75 are right
        leave one of the two out: which is compared would be a guess
        diverged: the score is no finite number
        failed: the score 3.5 is no fraction from 0 to 1, where larger is better
        report an accuracy, an area under a curve or the like; an error e as 1 - e or 1 / (1 + e)
        diverged: the loss is no finite number
        failed: the trainer ended without a score: its last line is `bye`
        print it as the last line, or {"score": 0.5}, or write it to the file SWEEP_SCORE
        failed: the trainer ended without a score: it printed nothing
        print it as the last line, or {"score": 0.5}, or write it to the file SWEEP_SCORE
        failed: its predictions are odd
        failed: the trainer ended with exit code 1; its last words:
        Traceback
          line 3
        ValueError: x
        out of memory: torch.OutOfMemoryError: CUDA out of memory. Tried
        failed: the trainer ended with exit code 2 and said nothing
        Code(75)
        "#);
        let killed = ExitStatus::from_raw(11);
        assert_eq!(conclude(killed, &Known::default()).unwrap_err(), Crash::Signal(11));
    }
}
