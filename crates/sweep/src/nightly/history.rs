//! Earlier nights: which one to go on with, to compare with, to keep.

use jiff::Timestamp;
use spec::nightly::CompareWith;

use super::record::{Begun, State, Summary, SweepNight};
use super::toolchain::Toolchain;

/// An earlier night.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// How it began.
    pub begun: Begun,
    /// What came of it; absent when it was cut short.
    pub summary: Option<Summary>,
    /// Whether somebody has said that later nights are to be compared with it.
    pub accepted: bool,
}

/// What to do about the last night.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Next<'a> {
    /// It was cut short and its time is not over: it goes on.
    GoOn(&'a Past),
    /// It was cut short and is over: its report is written, and a new one begins.
    Close(&'a Past),
    /// A new one begins.
    Begin,
}

impl Past {
    /// Its name.
    pub fn night(&self) -> &str {
        &self.begun.night
    }

    /// What became of a sweep in it.
    fn sweep(&self, sweep: &str) -> Option<&SweepNight> {
        self.summary.as_ref()?.sweeps.iter().find(|one| one.sweep == sweep)
    }

    /// Whether it is one to compare a sweep with.
    fn is_good(&self, sweep: &str) -> bool {
        self.sweep(sweep).is_some_and(|one| match self.accepted {
            true => one.state == State::Complete,
            false => one.is_good(),
        })
    }
}

/// What to do about the last of `past` (which is in the order of time) on this machine, now.
pub fn next<'a>(past: &'a [Past], now: Timestamp, toolchain: &Toolchain) -> Next<'a> {
    match past.last() {
        Some(last) if last.summary.is_none() => {
            let over = last.begun.until.is_some_and(|until| until <= now);
            // What two libraries have computed does not belong into one table.
            match over || !last.begun.toolchain.computes_as(toolchain) {
                true => Next::Close(last),
                false => Next::GoOn(last),
            }
        }
        _ => Next::Begin,
    }
}

/// The night with which `sweep` is compared, of `past`, which is in the order of time.
pub fn reference<'a>(past: &'a [Past], with: &CompareWith, sweep: &str) -> Option<&'a Past> {
    match with {
        CompareWith::LastGood => past.iter().rev().find(|past| past.is_good(sweep)),
        CompareWith::Night(name) => past.iter().find(|past| past.night() == name),
    }
}

/// The order in which `sweeps` come to their turn: first what the last night did not come to the end of,
/// so that in time every sweep has its turn; then as the nightly file has them.
pub fn order<'a>(sweeps: &[&'a str], last: Option<&Past>) -> Vec<&'a str> {
    let mut order = sweeps.to_vec();
    let rank = |sweep: &str| match last.and_then(|last| last.sweep(sweep)).map(|one| one.state) {
        Some(State::Unfinished) => 0,
        Some(State::NotBegun) => 1,
        Some(State::Complete) | None => 2,
    };
    order.sort_by_key(|sweep| rank(sweep));
    order
}

/// The nights that are not kept: all but the last `keep`, those that later ones are compared with, and
/// those that say so.
pub fn to_remove<'a>(past: &'a [Past], keep: usize, with: &CompareWith) -> Vec<&'a str> {
    let sweeps = past.iter().filter_map(|past| past.summary.as_ref());
    let sweeps = sweeps.flat_map(|summary| summary.sweeps.iter().map(|one| one.sweep.as_str()));
    let mut needed: Vec<&str> =
        sweeps.filter_map(|sweep| Some(reference(past, with, sweep)?.night())).collect();
    needed.extend(past.iter().rev().take(keep).map(Past::night));
    past.iter().map(Past::night).filter(|night| !needed.contains(night)).collect()
}

/// The same for whoever does not have the nightly file: what a kept night was compared with stays, since
/// the file may name it for good.
pub fn to_prune(past: &[Past], keep: usize) -> Vec<&str> {
    let mut removed = to_remove(past, keep, &CompareWith::LastGood);
    let kept = past.iter().filter(|past| !removed.contains(&past.night()));
    let sweeps = kept.filter_map(|past| past.summary.as_ref()).flat_map(|summary| &summary.sweeps);
    let needed: Vec<&str> = sweeps.filter_map(|sweep| sweep.compared_with.as_deref()).collect();
    removed.retain(|night| !needed.contains(night));
    removed
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::record::{RowNight, RowOutcome, Subject, VERSION, Verdict};
    use super::super::toolchain::tests::with;
    use super::*;

    /// A night with sweeps: `a+` is complete, `a!` is worse, `a-` unfinished, `a0` not begun. `cut`: it was
    /// cut short.
    fn night(day: u8, sweeps: &str) -> Past {
        let started: jiff::ZonedDateTime =
            format!("2026-11-{day:02}T22:00:00[UTC]").parse().unwrap();
        let begun = Begun {
            version: VERSION,
            name: "nightly".to_owned(),
            night: format!("2026-11-{day:02}"),
            until: started.timestamp().checked_add(jiff::SignedDuration::from_hours(8)).ok(),
            started: started.clone(),
            sweeps: Vec::new(),
            toolchain: with("2.11.0"),
            continues: None,
            carried: BTreeMap::new(),
        };
        let row = |regression| RowNight {
            factor: String::new(),
            level: String::new(),
            baseline: false,
            seeds: 1,
            finished: 1,
            lost: 0,
            score: None,
            before: None,
            difference: None,
            interval: None,
            p: None,
            outcome: RowOutcome::Same,
            words: String::new(),
            regression,
        };
        let sweep = |text: &str| {
            let (name, mark) = text.split_at(1);
            SweepNight {
                sweep: name.to_owned(),
                state: match mark {
                    "-" => State::Unfinished,
                    "0" => State::NotBegun,
                    _ => State::Complete,
                },
                runs: 1,
                finished: 1,
                failed: 0,
                carried: 0,
                seconds: 0.0,
                subject: Subject::default(),
                compared_with: None,
                changed: Vec::new(),
                rows: vec![row(mark == "!")],
            }
        };
        let summary = (sweeps != "cut").then(|| Summary {
            version: VERSION,
            name: begun.name.clone(),
            night: begun.night.clone(),
            verdict: Verdict::Good,
            exit_code: 0,
            ended: started.clone(),
            started,
            until: None,
            cut_short: false,
            report: "report.md".into(),
            page: None,
            continues: None,
            broken: Vec::new(),
            set_aside: Vec::new(),
            toolchain: with("2.11.0"),
            sweeps: sweeps.split(' ').map(sweep).collect(),
        });
        Past { begun, summary, accepted: false }
    }

    fn nights(sweeps: &[&str]) -> Vec<Past> {
        (1..).zip(sweeps).map(|(day, sweeps)| night(day, sweeps)).collect()
    }

    #[test]
    fn each_sweep_is_compared_with_the_last_night_in_which_it_was_whole_and_not_worse() {
        let mut past = nights(&["a+ b+", "a+ b!", "a- b+", "a! b0", "cut"]);
        let of = |past: &[Past], sweep| {
            reference(past, &CompareWith::LastGood, sweep).map(|past| past.night().to_owned())
        };
        assert_eq!(of(&past, "a").unwrap(), "2026-11-02");
        assert_eq!(of(&past, "b").unwrap(), "2026-11-03");
        assert_eq!(of(&past, "c"), None);
        past[3].accepted = true;
        assert_eq!(of(&past, "a").unwrap(), "2026-11-04");
        assert_eq!(of(&past, "b").unwrap(), "2026-11-03", "it did not come to its turn");
        let fixed = CompareWith::Night("2026-11-01".to_owned());
        assert_eq!(reference(&past, &fixed, "a").unwrap().night(), "2026-11-01");
    }

    #[test]
    fn a_night_that_was_cut_short_goes_on_in_its_time_on_the_same_machine() {
        let past = nights(&["a+", "cut"]);
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (early, late) = (at("2026-11-03T05:59:59Z"), at("2026-11-03T06:00:00Z"));
        assert_eq!(next(&past, early, &with("2.11.0")), Next::GoOn(&past[1]));
        assert_eq!(next(&past, late, &with("2.11.0")), Next::Close(&past[1]));
        assert_eq!(next(&past, early, &with("2.12.0")), Next::Close(&past[1]));
        assert_eq!(next(&past[..1], early, &with("2.11.0")), Next::Begin);
        assert_eq!(next(&[], early, &with("2.11.0")), Next::Begin);
    }

    #[test]
    fn what_did_not_come_to_its_end_has_its_turn_first() {
        let past = nights(&["a+ b+ c0 d-"]);
        assert_eq!(order(&["a", "b", "c", "d", "e"], past.last()), ["d", "c", "a", "b", "e"]);
        assert_eq!(order(&["a", "b"], None), ["a", "b"]);
    }

    #[test]
    fn the_last_nights_are_kept_and_those_that_are_compared_with() {
        let past = nights(&["a+ b+", "a+ b!", "a+ b-", "a! b!", "a! b!"]);
        let removed = |keep, with: &CompareWith| to_remove(&past, keep, with).join(" ");
        assert_eq!(removed(1, &CompareWith::LastGood), "2026-11-02 2026-11-04");
        assert_eq!(removed(4, &CompareWith::LastGood), "");
        let fixed = CompareWith::Night("2026-11-02".to_owned());
        assert_eq!(removed(2, &fixed), "2026-11-01 2026-11-03");
        assert_eq!(removed(9, &fixed), "");
    }

    #[test]
    fn without_the_nightly_file_what_a_kept_night_was_compared_with_stays_too() {
        let mut past = nights(&["a+", "a+", "a+", "a+"]);
        assert_eq!(to_prune(&past, 1), ["2026-11-01", "2026-11-02", "2026-11-03"]);
        let compared = |past: &mut Past, with: &str| {
            past.summary.as_mut().unwrap().sweeps[0].compared_with = Some(with.to_owned());
        };
        compared(&mut past[3], "2026-11-01");
        // Of a night that goes itself it is no matter.
        compared(&mut past[2], "2026-11-02");
        assert_eq!(to_prune(&past, 1), ["2026-11-02", "2026-11-03"]);
        assert_eq!(to_prune(&past, 9), [""; 0]);
    }
}
