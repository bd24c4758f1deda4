//! The worker's protocol, through the built binary.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod plates;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::json;
use spec::protocol::{self, Bundle, Event, Order, RunOrder};
use spec::record::Outcome;
use spec::run_id::RunId;

use plates::{order, plates};

struct Worker {
    child: Child,
    orders: Option<ChildStdin>,
    events: BufReader<ChildStdout>,
}

impl Worker {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sweep-train"))
            .args(["--device", "cpu", "--threads", "1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = child.stdin.take();
        let events = BufReader::new(child.stdout.take().unwrap());
        Self { child, orders, events }
    }

    fn say(&mut self, line: &str) {
        let orders = self.orders.as_mut().unwrap();
        writeln!(orders, "{line}").unwrap();
        orders.flush().unwrap();
    }

    fn bundle(&mut self, root: &Path, runs: Vec<RunOrder>) {
        let bundle = Bundle { cache: root.join("cache"), fuse: true, checkpoints: None, runs };
        self.say(&serde_json::to_string(&Order::Bundle(bundle)).unwrap());
    }

    /// The next event; every line on stdout must be one.
    fn event(&mut self) -> Option<Event> {
        let mut line = String::new();
        self.events.read_line(&mut line).unwrap();
        (!line.is_empty()).then(|| serde_json::from_str(&line).unwrap())
    }

    fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.event() {
            let found = wanted(&event);
            events.push(event);
            if found {
                return events;
            }
        }
        panic!("the worker ended first: {events:?}\n{}", self.end().1);
    }

    fn until_idle(&mut self) -> Vec<Event> {
        self.until(|event| matches!(event, Event::Idle))
    }

    /// Closes stdin and waits: exit code, and the log.
    fn end(&mut self) -> (Option<i32>, String) {
        self.orders = None;
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap().code(), log)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Not left behind when a test fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn outcomes(events: &[Event]) -> Vec<(RunId, &str)> {
    let finished = events.iter().filter_map(|event| match event {
        Event::Finished { run, outcome } => Some((*run, outcome.name())),
        _ => None,
    });
    finished.collect()
}

/// What kinds of events there were, each row of the same kind once.
fn kinds(events: &[Event]) -> Vec<String> {
    let mut kinds: Vec<_> = events
        .iter()
        .map(|event| serde_json::to_value(event).unwrap()["type"].as_str().unwrap().to_owned())
        .collect();
    kinds.dedup();
    kinds
}

fn never_ending() -> serde_json::Value {
    json!({ "train": { "epochs": 4_000_000 } })
}

#[test]
fn bundle_after_bundle_is_trained_and_the_end_of_orders_is_the_end() {
    let root = plates(&["a", "b"]);
    let mut worker = Worker::start();
    let hello = Event::Hello { version: protocol::VERSION, device: "cpu (1 thread)".to_owned() };
    assert_eq!(worker.event(), Some(hello));

    let broken = json!({ "data": { "image_size": 8 } });
    let runs = vec![
        order(root.path(), 1, json!({})),
        order(root.path(), 2, broken),
        order(root.path(), 3, json!({ "train": { "learning_rate": 0.02 } })),
    ];
    let [one, two, three] = [0, 1, 2].map(|at: usize| runs[at].run);
    worker.bundle(root.path(), runs);
    let events = worker.until_idle();
    let ended = [(one, "finished"), (three, "finished"), (two, "failed")];
    assert_eq!(outcomes(&events), ended);
    // The first and the third train side by side on the same features; the second fails at once.
    assert_eq!(
        kinds(&events).join(" "),
        "started progress started epoch predictions finished epoch predictions finished \
        started finished idle"
    );

    worker.bundle(root.path(), vec![order(root.path(), 4, json!({}))]);
    assert_eq!(outcomes(&worker.until_idle()).len(), 1);
    let (code, log) = worker.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("image_size is 8"), "{log}");
}

#[test]
fn a_stop_ends_the_run_and_not_the_worker() {
    let root = plates(&["a", "b"]);
    let mut worker = Worker::start();
    let endless = |number| order(root.path(), number, never_ending());
    let mut other = endless(3);
    other.config.model.hidden = vec![4];
    worker.bundle(root.path(), vec![endless(1), endless(2), other]);
    let both = [1, 2].map(|number| endless(number).run);
    for of in both {
        worker.until(|event| matches!(event, Event::Epoch { run, .. } if *run == of));
    }
    worker.say(r#"{"type":"stop"}"#);
    let events = worker.until_idle();
    let mut interrupted = outcomes(&events);
    interrupted.sort();
    let why = "those under way; the third, which is not, is not answered";
    assert_eq!(interrupted, both.map(|run| (run, "interrupted")), "{why}");

    worker.bundle(root.path(), vec![order(root.path(), 4, json!({}))]);
    let events = worker.until_idle();
    assert_eq!(outcomes(&events), [(RunId::from_digest([4; 32]), "finished")]);
}

#[test]
fn the_end_of_orders_stops_what_nobody_waits_for() {
    let root = plates(&["a", "b"]);
    let mut worker = Worker::start();
    worker.bundle(root.path(), vec![order(root.path(), 1, never_ending())]);
    worker.until(|event| matches!(event, Event::Epoch { .. }));
    worker.orders = None;
    let events = worker.until_idle();
    let interrupted = |event: &Event| {
        matches!(event, Event::Finished { outcome: Outcome::Interrupted { .. }, .. })
    };
    assert!(events.iter().any(interrupted), "{:?}", kinds(&events));
    assert_eq!(worker.end().0, Some(0));
}

#[test]
fn a_line_that_is_no_order_ends_the_worker() {
    let mut worker = Worker::start();
    worker.say("make it so");
    let (code, log) = worker.end();
    assert_eq!(code, Some(1));
    assert!(log.contains("line 1 of the orders is none: make it so"), "{log}");
}

#[test]
fn a_gpu_that_is_not_there_is_an_error() {
    if Path::new("/dev/nvidia0").exists() {
        return;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_sweep-train"))
        .args(["--device", "cuda"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("CUDA was asked for") && log.contains("--device cpu"), "{log}");
}

#[test]
fn a_probe_says_what_there_is() {
    let output = Command::new(env!("CARGO_BIN_EXE_sweep-train")).arg("--probe").output().unwrap();
    let probe: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(probe["libtorch"], "2.11.0");
    assert_eq!(probe["protocol"], protocol::VERSION);
    assert!(probe["cuda_devices"].is_u64());
}
