use super::*;
use crate::planning::tests::{finished, work};
use spec::record;

fn folder() -> (tempfile::TempDir, ResultsDir) {
    let folder = tempfile::tempdir().unwrap();
    let dir = ResultsDir::new(folder.path());
    (folder, dir)
}

fn claim(dir: &ResultsDir, run: RunId, holder: &Process) {
    let claim = Claim { holder: holder.clone(), slot: "cpu 1".to_owned() };
    write(&dir.claims().join(format!("{run}.json")), &claim).unwrap();
}

fn store(dir: &ResultsDir, work: &Work, attempts: u32, outcome: Outcome) {
    let result = RunResult {
        version: record::VERSION,
        run: work.run(),
        attempts,
        started: String::new(),
        seconds: 1.0,
        device: String::new(),
        program: None,
        outcome,
    };
    let dir = dir.run(&work.planned);
    fs_err::create_dir_all(dir.root()).unwrap();
    fs_err::write(dir.result(), serde_json::to_vec(&result).unwrap()).unwrap();
}

#[test]
fn a_run_is_taken_by_one_and_by_the_next_when_that_one_is_gone() {
    let (_folder, dir) = folder();
    let mut claims = Claims::open(dir.clone(), None, Vec::new()).unwrap();
    let works = [work(1), work(2), work(3)];
    // The first process of all is alive, and a number without a process is nobody.
    let parent = Process { pid: 1, started: start_of_init(), ..claims.this.clone() };
    let dead = Process { started: 1, ..claims.this.clone() };
    claim(&dir, works[0].run(), &parent);
    claim(&dir, works[1].run(), &dead);
    fs_err::write(claims.file(works[2].run()), b"{\"holder\":").unwrap();
    let all: Vec<&Work> = works.iter().collect();
    let whose = claims.take(&all, "cpu 1").unwrap();
    assert_eq!(whose, [Whose::Theirs(parent.clone()), Whose::Ours, Whose::Ours]);
    assert_eq!(at_work(&dir).iter().map(|at| at.slots[0].1.len()).collect::<Vec<_>>(), [2]);
    claims.release([works[1].run()]);
    let whose = claims.look(&all).unwrap();
    assert_eq!(whose, [Whose::Theirs(parent), Whose::Nobody, Whose::Ours]);
    drop(claims);
    assert_eq!(at_work(&dir), []);
    assert_eq!(fs_err::read_dir(dir.claims()).unwrap().count(), 1, "the other's");
    Claims::open(dir.clone(), None, Vec::new()).unwrap();
    assert_eq!(fs_err::read_dir(dir.claims()).unwrap().count(), 1);
}

fn start_of_init() -> u64 {
    let stat = fs_err::read_to_string("/proc/1/stat").unwrap();
    crate::process::parse_stat(&stat).unwrap()
}

/// Containers on two machines may be called the same.
#[test]
fn a_claim_of_another_start_is_stale_only_where_it_is_the_same_machine() {
    let (_folder, dir) = folder();
    let mut claims = Claims::open(dir.clone(), None, Vec::new()).unwrap();
    claims.this.machine = Some("here".to_owned());
    let before = Process { boot: "before".to_owned(), ..claims.this.clone() };
    let machine = |machine: Option<&str>| Process {
        machine: machine.map(str::to_owned),
        started: before.started + 1,
        ..before.clone()
    };
    // Set up from the same image as this one, and at work since this one was started.
    let twin = Process { started: before.started + 2, ..before.clone() };
    let holders = [machine(Some("here")), machine(Some("there")), machine(None), twin];
    let works = [work(1), work(2), work(3), work(4)];
    for (work, holder) in works.iter().zip(&holders) {
        claim(&dir, work.run(), holder);
        let since = String::new();
        let presence = Presence { process: holder.clone(), since, job: None, slots: Vec::new() };
        write(&dir.orchestrators().join(holder.file_name()), &presence).unwrap();
    }
    renewed(&dir, &holders[0], SystemTime::UNIX_EPOCH);
    let all: Vec<&Work> = works.iter().collect();
    let [_, there, nameless, twin] = holders.map(Whose::Theirs);
    let expected = [Whose::Ours, there, nameless, twin];
    assert_eq!(claims.take(&all, "cpu 1").unwrap(), expected);
}

fn renewed(dir: &ResultsDir, process: &Process, at: SystemTime) {
    let file = dir.orchestrators().join(process.file_name());
    let file = fs_err::OpenOptions::new().write(true).open(file).unwrap();
    file.file().set_modified(at).unwrap();
}

#[test]
fn who_cannot_be_seen_and_is_silent_for_long_is_not_at_work_and_keeps_its_runs_until_they_are_wanted()
 {
    let (_folder, dir) = folder();
    let claims = Claims::open(dir.clone(), None, Vec::new()).unwrap();
    let this = claims.this.clone();
    let far = |pid| Process { host: "far".to_owned(), boot: "far".to_owned(), pid, ..this.clone() };
    let long_ago = SystemTime::now() - std::time::Duration::from_secs(3 * 60 * 60);
    for (pid, at) in [(1, SystemTime::now()), (2, long_ago), (3, long_ago)] {
        let presence = Presence { process: far(pid), ..claims.ours.clone() };
        write(&dir.orchestrators().join(far(pid).file_name()), &presence).unwrap();
        renewed(&dir, &far(pid), at);
    }
    claim(&dir, work(3).run(), &far(3));
    let present = || read_all::<Presence>(&dir.orchestrators()).into_iter();
    let pids = |all: Vec<u32>| {
        let mut all: Vec<u32> = all.into_iter().filter(|pid| *pid != this.pid).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(pids(at_work(&dir).iter().map(|at| at.process.pid).collect()), [1]);
    let mut claims = Claims::open(dir.clone(), None, Vec::new()).unwrap();
    assert_eq!(pids(present().map(|(_, one)| one.process.pid).collect()), [1, 3]);
    let whose = claims.take(&[&work(3)], "cpu 1").unwrap();
    assert_eq!(whose, [Whose::Theirs(far(3))], "it may have slept");
}

#[test]
fn who_was_taken_for_gone_says_again_that_it_is_there() {
    let (_folder, dir) = folder();
    let mut claims = Claims::open(dir.clone(), None, Vec::new()).unwrap();
    renewed(&dir, &claims.this, SystemTime::UNIX_EPOCH);
    let due = claims.due();
    claims.beat(due);
    let at = || fs_err::metadata(&claims.presence).and_then(|file| file.modified());
    assert!(at().unwrap() > SystemTime::UNIX_EPOCH);
    fs_err::remove_file(&claims.presence).unwrap();
    let due = claims.due();
    claims.beat(due);
    assert_eq!(at_work(&dir).len(), 1);
    // Where it slept, it is to say so before it takes a run that others would take for nobody's.
    fs_err::remove_file(&claims.presence).unwrap();
    claims.take(&[&work(1)], "cpu 1").unwrap();
    assert_eq!(at_work(&dir).len(), 1);
}

#[test]
fn a_run_that_another_one_has_ended_is_done_and_one_that_failed_before_is_not() {
    let (_folder, dir) = folder();
    let mut claims = Claims::open(dir.clone(), None, Vec::new()).unwrap();
    let cause = || "x".to_owned();
    for (attempts, outcome, done) in [
        (1, Outcome::Failed { cause: cause() }, false),
        (2, Outcome::Failed { cause: cause() }, true),
        (1, finished(), true),
        (2, Outcome::Interrupted { cause: cause() }, false),
    ] {
        let work = Work { attempts: 1, ..work(1) };
        store(&dir, &work, attempts, outcome);
        let whose = claims.look(&[&work]).unwrap();
        assert_eq!(matches!(whose[0], Whose::Done(_)), done, "{whose:?}");
    }
}

#[test]
fn a_claim_that_another_machine_took_over_is_not_ours() {
    let (_folder, dir) = folder();
    let mut claims = Claims::open(dir.clone(), None, Vec::new()).unwrap();
    let work = work(1);
    claims.take(&[&work], "cpu 1").unwrap();
    assert!(claims.holds(work.run()) && claims.may_end(&work).unwrap());
    claim(&dir, work.run(), &Process { host: "far".to_owned(), ..claims.this.clone() });
    assert!(!claims.holds(work.run()) && !claims.may_end(&work).unwrap());
    claims.release([work.run()]);
    drop(claims);
    assert_eq!(fs_err::read_dir(dir.claims()).unwrap().count(), 1, "it is theirs");
}

#[test]
fn who_took_a_run_over_and_ended_it_is_not_overwritten() {
    let (_folder, dir) = folder();
    let mut claims = Claims::open(dir.clone(), None, Vec::new()).unwrap();
    let work = Work { attempts: 1, ..work(1) };
    claims.take(&[&work], "cpu 1").unwrap();
    fs_err::remove_file(claims.file(work.run())).unwrap();
    assert!(!claims.holds(work.run()));
    let cause = || "x".to_owned();
    for (attempts, outcome, ours) in [
        (1, Outcome::Failed { cause: cause() }, true),
        (2, Outcome::Interrupted { cause: cause() }, true),
        (2, Outcome::Failed { cause: cause() }, false),
        (2, finished(), false),
    ] {
        store(&dir, &work, attempts, outcome);
        assert_eq!(claims.may_end(&work).unwrap(), ours, "{attempts}");
    }
}

#[test]
fn a_claim_that_cannot_be_read_may_be_anybodys() {
    let (_folder, dir) = folder();
    let mut claims = Claims::open(dir.clone(), None, Vec::new()).unwrap();
    let work = work(1);
    // A folder cannot be read, not even by root.
    fs_err::create_dir(claims.file(work.run())).unwrap();
    assert!(claims.look(&[&work]).is_err());
    assert!(claims.take(&[&work], "cpu 1").is_err());
    assert!(claims.may_end(&work).is_err());
}
