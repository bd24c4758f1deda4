//! How runs become tasks, and tasks become arrays.

use std::num::NonZeroU32;
use std::ops::Range;

use crate::schedule::Prefix;

/// So many fused runs are one task: they take hardly longer than one of them.
const FUSED_TOGETHER: usize = 64;

/// More tasks than this are no help to anybody: a controller holds 10,000 jobs of all users unless it is
/// told otherwise.
pub const MOST_TASKS: usize = 2000;

/// Shares runs out, of which only the prefixes matter: each task is a list of places in `prefixes`.
///
/// Runs of one task share a frozen prefix, so that it is computed once for all of them. A task has
/// `per_task` runs at most; if nobody says how many, 64 that are fused or one that is not, and so many more
/// that no more than [`MOST_TASKS`] tasks come of it (as far as prefixes allow). Tasks of one prefix have
/// as many runs as the others, or one less.
pub fn tasks(prefixes: &[Prefix], per_task: Option<NonZeroU32>) -> Vec<Vec<usize>> {
    let mut groups: Vec<(Prefix, Vec<usize>)> = Vec::new();
    for (place, prefix) in prefixes.iter().enumerate() {
        match groups.iter_mut().find(|(other, _)| other == prefix) {
            Some((_, places)) => places.push(place),
            None => groups.push((*prefix, vec![place])),
        }
    }
    let usual = |prefix: &Prefix| match per_task {
        Some(per_task) => per_task.get() as usize,
        None if prefix.is_fused() => FUSED_TOGETHER,
        None => 1,
    };
    let number =
        |(prefix, places): &(Prefix, Vec<usize>)| places.len().div_ceil(usual(prefix)).max(1);
    let wanted: usize = groups.iter().map(number).sum();
    let times = if per_task.is_some() { 1 } else { wanted.div_ceil(MOST_TASKS).max(1) };
    let shared = groups.iter().flat_map(|(prefix, places)| {
        let number = places.len().div_ceil(usual(prefix) * times).max(1);
        evenly(places.len(), number).map(|range| places[range].to_vec())
    });
    shared.collect()
}

/// Cuts `tasks` tasks into arrays of which none has more than `most`.
pub fn arrays(tasks: usize, most: usize) -> Vec<Range<usize>> {
    evenly(tasks, tasks.div_ceil(most.max(1))).collect()
}

/// `0..length` in `parts` parts as long as each other, or one less.
fn evenly(length: usize, parts: usize) -> impl Iterator<Item = Range<usize>> {
    let cut = move |part: usize| {
        // Longer parts first.
        let (least, more) = (length / parts.max(1), length % parts.max(1));
        part * least + part.min(more)
    };
    (0..parts).map(move |part| cut(part)..cut(part + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FUSED: Prefix = Prefix::from_digest([1; 32], true);
    const ALONE: Prefix = Prefix::from_digest([2; 32], false);

    #[test]
    fn runs_are_shared_out_by_how_they_are_trained() {
        let sizes = |prefixes: &[Prefix], per_task: u32| -> Vec<usize> {
            tasks(prefixes, NonZeroU32::new(per_task)).iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(&[FUSED; 30], 0), [30]);
        assert_eq!(sizes(&[FUSED; 130], 0), [44, 43, 43]);
        assert_eq!(sizes(&[ALONE; 3], 0), [1, 1, 1]);
        assert_eq!(sizes(&[ALONE, FUSED, ALONE, FUSED], 8), [2, 2]);
        assert_eq!(sizes(&[ALONE; 10], 4), [4, 3, 3]);
        assert_eq!(sizes(&[], 0), [0; 0]);
        let many = sizes(&[ALONE; 100_000], 0);
        assert_eq!((many.len(), many[0]), (MOST_TASKS, 50));
        assert_eq!(sizes(&[ALONE; 5000], 1).len(), 5000, "whoever says how many has them");
    }

    #[test]
    fn arrays_are_as_large_as_each_other() {
        assert_eq!(arrays(2000, 1001), [0..1000, 1000..2000]);
        assert_eq!(arrays(5, 2), [0..2, 2..4, 4..5]);
        assert_eq!(arrays(4, 2), [0..2, 2..4]);
        assert!(arrays(0, 1000).is_empty());
    }

    proptest! {
        #[test]
        fn every_run_is_in_one_task_and_shares_its_prefix(
            kinds in proptest::collection::vec(0_u8..6, 0..300),
            per_task in 0_u32..20,
        ) {
            let prefixes: Vec<Prefix> =
                kinds.iter().map(|&kind| Prefix::from_digest([kind; 32], kind % 2 == 0)).collect();
            let tasks = tasks(&prefixes, NonZeroU32::new(per_task));
            let mut all: Vec<usize> = tasks.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..prefixes.len()).collect::<Vec<_>>());
            for task in &tasks {
                prop_assert!(!task.is_empty());
                prop_assert!(per_task == 0 || task.len() <= per_task as usize);
                prop_assert!(task.iter().all(|&place| prefixes[place] == prefixes[task[0]]));
            }
        }

        #[test]
        fn arrays_cover_all_tasks_and_fit(number in 0_usize..5000, most in 1_usize..1200) {
            let arrays = arrays(number, most);
            let mut next = 0;
            for array in &arrays {
                prop_assert_eq!(array.start, next);
                prop_assert!((1..=most).contains(&array.len()));
                next = array.end;
            }
            prop_assert_eq!(next, number);
        }
    }
}
