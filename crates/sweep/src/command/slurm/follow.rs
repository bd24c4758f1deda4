//! `--follow`: looking, one question of the queue at a time, until every run has ended.

use std::thread;

use super::Runs;
use crate::cli;
use crate::command::count;
use crate::command::status::where_tasks_are;
use crate::exit::Failure;
use crate::output::Console;
use crate::planning::Work;
use crate::progress::ended_line;
use crate::report::ScoreFormat;
use crate::slurm::decide::{Cover, cover, tally};
use crate::slurm::submit::look;
use crate::slurm::{Cluster, Entry, Queue, Submission};
use crate::store::{ReadError, Store};

/// Looks in a row that find nothing in the queue before that counts: a job may be between two states.
const EMPTY_LOOKS: u32 = 2;

/// Waits until every run has ended; false when nothing is in the queue and runs are open.
pub(super) fn follow(
    work: &[Work],
    runs: &Runs,
    args: &cli::Run,
    store: &Store,
    console: &Console,
) -> Result<bool, Failure> {
    let mut open: Vec<&Work> = runs.open.iter().collect();
    let (mut empty, mut last, mut silent) = (0, String::new(), false);
    loop {
        // The queue first: what ended before it was asked is seen then.
        let (submissions, queue) = look(store.dir(), Cluster)?;
        open = tell_of_ended(open, (work.len(), args.score_format), store, console)?;
        if open.is_empty() {
            return Ok(true);
        }
        match queue {
            Queue::Known(entries) => {
                silent = false;
                let now = summary(&submissions, &entries, |cover| {
                    let settled = |work: &Work| runs.settled.get(&work.run()).copied();
                    open.iter().any(|work| cover.has(work.run(), settled(work)))
                });
                empty = if now.is_empty() { empty + 1 } else { 0 };
                if !now.is_empty() && now != last {
                    console.say(&now);
                }
                last = now;
                if empty >= EMPTY_LOOKS {
                    console.say(&format!(
                        "{} have no result, and nothing is in the queue",
                        count(open.len(), "run")
                    ));
                    return Ok(false);
                }
            }
            Queue::Unknown(why) => {
                if !silent {
                    console.say(&format!(
                        "Slurm does not answer, which says nothing of the jobs: {why}"
                    ));
                }
                silent = true;
            }
        }
        thread::sleep(args.poll);
    }
}

/// Where the tasks of those submissions are that are waited for, by what they cover. Others may use the same folder.
fn summary(
    submissions: &[Submission],
    entries: &[Entry],
    is_waited_for: impl Fn(&Cover) -> bool,
) -> String {
    let of_ours = submissions
        .iter()
        .filter(|submission| is_waited_for(&cover(std::slice::from_ref(submission), entries)));
    let lines = of_ours.filter_map(|submission| {
        let tally = tally(submission, entries);
        let line = || format!("{}: {}", submission.name, where_tasks_are(&tally));
        (tally.tasks() > 0).then(line)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Tells of those that have ended; the others are still open.
fn tell_of_ended<'a>(
    open: Vec<&'a Work>,
    (total, format): (usize, ScoreFormat),
    store: &Store,
    console: &Console,
) -> Result<Vec<&'a Work>, ReadError> {
    let mut done = total - open.len();
    let mut still = Vec::new();
    for work in open {
        match store.result(work)? {
            Some(result) if result.outcome.is_settled() && result.attempts > work.attempts => {
                done += 1;
                let (outcome, seconds) = (&result.outcome, result.seconds);
                console.say(&ended_line((done, total), &work.label, outcome, seconds, format));
            }
            _ => still.push(work),
        }
    }
    Ok(still)
}
