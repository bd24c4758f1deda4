//! What of earlier submissions still stands.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use spec::run_id::RunId;

use super::mapping::{Jobs, Submission};
use super::queue::{Entry, State};

/// What earlier submissions still cover, by the queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cover {
    /// The runs of tasks that are in the queue, and how many attempts they had when they were submitted.
    runs: HashMap<RunId, u32>,
    /// Submissions of which jobs were found by their names alone, with all numbers that are known now.
    pub found: Vec<(String, Jobs)>,
    /// Submissions of which nothing is in the queue: what has no result yet comes of none of them.
    pub over: Vec<String>,
}

/// How many tasks are where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Tasks that have a node.
    pub running: usize,
    /// Tasks that wait, by Slurm's reason.
    pub waiting: BTreeMap<String, usize>,
    /// Whether the job that writes the reports is still to come.
    pub collector: bool,
}

impl Cover {
    /// Whether `run` will come of a task in the queue. `settled` says after how many attempts it ended, if it
    /// did and is to be run again all the same: a task takes what ended since it was submitted for done.
    pub fn has(&self, run: RunId, settled: Option<u32>) -> bool {
        self.runs.get(&run).is_some_and(|&attempts| settled.is_none_or(|now| now <= attempts))
    }
}

impl Tally {
    /// Tasks in the queue.
    pub fn tasks(&self) -> usize {
        self.running + self.waiting.values().sum::<usize>()
    }
}

/// What `submissions` cover while the queue has `entries`.
pub fn cover(submissions: &[Submission], entries: &[Entry]) -> Cover {
    let mut by_name: HashMap<&str, Vec<&Entry>> = HashMap::new();
    for entry in entries {
        by_name.entry(&entry.name).or_default().push(entry);
    }
    let of = |name: &str| by_name.get(name).map_or(&[][..], Vec::as_slice);
    let mut cover = Cover::default();
    for Submission { name, mapping, jobs } in submissions {
        let mut known = jobs.clone();
        let mut is_live = of(&mapping.collector).iter().any(|entry| entry.is_live());
        known.collector = known.collector.or(of(&mapping.collector).first().map(|entry| entry.job));
        for (place, array) in mapping.arrays.iter().enumerate() {
            let entries = of(&array.name);
            if let (Some(known), Some(entry)) = (known.arrays.get_mut(place), entries.first()) {
                known.get_or_insert(entry.job);
            }
            for entry in entries.iter().filter(|entry| entry.is_live()) {
                is_live = true;
                for index in (0..array.tasks).filter(|&index| entry.has(index)) {
                    let runs = mapping.tasks.get(array.first + index);
                    for mapped in runs.into_iter().flatten() {
                        let attempts = cover.runs.entry(mapped.run).or_default();
                        *attempts = (*attempts).max(mapped.attempts);
                    }
                }
            }
        }
        if known != *jobs {
            cover.found.push((name.clone(), known));
        }
        if !is_live {
            cover.over.push(name.clone());
        }
    }
    cover
}

/// A submission of somebody else's of which the queue shows nothing to `this` user, and whose it is: it may be
/// over, or not for our eyes.
pub fn unseen<'a>(
    submissions: &'a [Submission],
    entries: &[Entry],
    this: u32,
) -> Option<(&'a Submission, u32)> {
    let is_seen = |name: &String| entries.iter().any(|entry| entry.name == *name);
    submissions.iter().find_map(|submission| {
        let mapping = &submission.mapping;
        let user = mapping.user.filter(|user| *user != this)?;
        let mut names = mapping.arrays.iter().map(|array| &array.name).chain([&mapping.collector]);
        (!names.any(is_seen)).then_some((submission, user))
    })
}

/// Where the tasks of `submission` are while the queue has `entries`.
pub fn tally(submission: &Submission, entries: &[Entry]) -> Tally {
    let mapping = &submission.mapping;
    let mut tally = Tally::default();
    for entry in entries.iter().filter(|entry| entry.is_live()) {
        tally.collector |= entry.name == mapping.collector;
        if mapping.arrays.iter().any(|array| array.name == entry.name) {
            match &entry.state {
                State::Waits(why) => {
                    *tally.waiting.entry(why.clone()).or_default() += entry.count()
                }
                State::Runs | State::Over(_) => tally.running += entry.count(),
            }
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slurm::mapping::{Array, MappedRun, Mapping};
    use crate::slurm::queue::parse;
    use proptest::prelude::*;

    fn run(number: u8) -> RunId {
        RunId::from_digest([number; 32])
    }

    /// Two arrays of two tasks with a run each: 0 and 1, 2 and 3.
    fn submission(name: &str, jobs: [Option<&str>; 2]) -> Submission {
        let array = |number: usize| Array {
            name: format!("sweep.{name}.{number}"),
            first: 2 * number,
            tasks: 2,
        };
        let number = |text: Option<&str>| text.map(|text| text.parse().unwrap());
        Submission {
            name: name.to_owned(),
            mapping: Mapping {
                version: 1,
                written: String::new(),
                user: None,
                sweeps: Vec::new(),
                arrays: vec![array(0), array(1)],
                collector: format!("sweep.{name}.collect"),
                tasks: (0..4).map(|n| vec![MappedRun { run: run(n), attempts: 1 }]).collect(),
            },
            jobs: Jobs { arrays: jobs.map(number).to_vec(), ..Jobs::none(0) },
        }
    }

    fn covered(cover: &Cover) -> Vec<u8> {
        (0..4).filter(|&number| cover.has(run(number), None)).collect()
    }

    #[test]
    fn what_is_in_the_queue_is_covered_and_nothing_else() {
        let table = [
            ("", vec![], vec!["a"]),
            ("sweep.a.0|7|0|RUNNING|None", vec![0], vec![]),
            (
                "sweep.a.0|7|0-1%1|PENDING|None\nsweep.a.1|8|1|COMPLETING|None",
                vec![0, 1, 3],
                vec![],
            ),
            ("sweep.a.0|7|0|CANCELLED|None\nsweep.a.1|8|0|FAILED|None", vec![], vec!["a"]),
            ("sweep.a.1|8|0-9|REQUEUE_HOLD|None", vec![2, 3], vec![]),
            // Its reports are still to come: it is not over.
            ("sweep.a.collect|9|N/A|PENDING|Dependency", vec![], vec![]),
            // Somebody else's.
            ("sweep.b.0|7|0-1|RUNNING|None", vec![], vec!["a"]),
        ];
        for (said, runs, over) in table {
            let cover = cover(&[submission("a", [Some("7"), Some("8")])], &parse(said).unwrap());
            assert_eq!(
                (covered(&cover), cover.over),
                (runs, over.iter().map(|n| (*n).to_owned()).collect()),
                "{said}"
            );
        }
    }

    #[test]
    fn a_job_whose_number_was_lost_is_found_by_its_name() {
        let said = "sweep.a.0|7|0-1|RUNNING|None\nsweep.a.1|8|0|CANCELLED|None\n\
                    sweep.a.collect|9|N/A|PENDING|Dependency\n";
        let cover = cover(&[submission("a", [Some("7"), None])], &parse(said).unwrap());
        let [(name, jobs)] = cover.found.as_slice() else { panic!("{cover:?}") };
        assert_eq!(name, "a");
        assert_eq!(jobs.arrays, ["7", "8"].map(|job| Some(job.parse().unwrap())));
        assert_eq!(jobs.collector, Some("9".parse().unwrap()));
        assert_eq!(covered(&cover), [0, 1], "it is found, and over");
    }

    #[test]
    fn what_failed_since_it_was_submitted_is_not_covered_when_it_is_wanted_again() {
        let entries = parse("sweep.a.0|7|0-1|RUNNING|None").unwrap();
        let cover = cover(&[submission("a", [Some("7"), Some("8")])], &entries);
        assert!(cover.has(run(0), None) && cover.has(run(0), Some(1)));
        assert!(!cover.has(run(0), Some(2)) && !cover.has(run(2), Some(1)));
    }

    #[test]
    fn tasks_are_counted_by_what_they_do() {
        let said = "sweep.a.0|7|1|RUNNING|None\nsweep.a.1|8|0-1|PENDING|Resources\n\
                    sweep.a.0|7|0|TIMEOUT|TimeLimit\nsweep.a.collect|9|N/A|PENDING|Dependency\n";
        let tally = tally(&submission("a", [None, None]), &parse(said).unwrap());
        let waiting = BTreeMap::from([("Resources".to_owned(), 2)]);
        assert_eq!(tally, Tally { running: 1, waiting, collector: true });
        assert_eq!(tally.tasks(), 3);
    }

    proptest! {
        /// Whatever of the queue is seen, nothing is covered that is not in it: at worst something is
        /// submitted twice, never not at all.
        #[test]
        fn only_what_the_queue_has_is_covered(lines in proptest::collection::vec((0_u8..3, 0_u8..3, 0_u8..4), 0..9)) {
            let states = ["RUNNING", "PENDING", "COMPLETED", "NODE_FAIL"];
            let said: Vec<String> = lines
                .iter()
                .map(|(array, index, state)| {
                    format!("sweep.a.{array}|7|{index}|{}|None", states[*state as usize])
                })
                .collect();
            let cover = cover(&[submission("a", [None, None])], &parse(&said.join("\n")).unwrap());
            for number in 0..4_u8 {
                let live = lines.iter().any(|(array, index, state)| {
                    *index < 2 && array * 2 + index == number && *array < 2 && *state < 2
                });
                prop_assert_eq!(cover.has(run(number), None), live);
            }
        }
    }
}
