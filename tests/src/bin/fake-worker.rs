//! A worker that trains nothing and does what a script says.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a fake that breaks is a test that fails"
)]

use std::io::{BufRead as _, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use end_to_end::script::{self, Act, Effect, Script, Start, World};
use spec::protocol::{self, Event, Order, RunOrder};
use spec::record::{
    EpochMetrics, Evaluation, Finished, ImageSet, Outcome, Prediction, Predictions,
};

const TEST_IMAGES: u64 = 744;

fn main() {
    let file = std::env::var_os(script::VARIABLE).unwrap();
    let script: Script = serde_json::from_reader(fs_err::File::open(file).unwrap()).unwrap();
    if std::env::args().any(|argument| argument == "--probe") {
        let gpus = script.gpus;
        let libtorch = if script.libtorch.is_empty() { "none" } else { &script.libtorch };
        let libraries = serde_json::to_string(&script.libraries).unwrap();
        println!(
            r#"{{"version":"0.0.0","protocol":1,"libtorch":"{libtorch}","cuda_devices":{gpus},"libraries":{libraries}}}"#
        );
        return;
    }
    let version = match script.start {
        Start::Hello => protocol::VERSION,
        Start::OtherVersion => protocol::VERSION + 1,
        Start::Die => {
            eprintln!("cannot load the library of tears");
            process::exit(9);
        }
    };
    let (to, inbox) = mpsc::channel();
    listen(to.clone());
    let device = gpu().map_or("fake".to_owned(), |gpu| format!("fake GPU {gpu}"));
    say(&Event::Hello { version, device });
    let worker = Worker { script: &script, to, inbox };
    while let Ok(Heard::Order(order)) = worker.inbox.recv() {
        if let Order::Bundle(bundle) = order {
            match script.together {
                true => worker.train_together(&bundle.runs),
                false => _ = bundle.runs.iter().all(|run| worker.train(run)),
            }
            say(&Event::Idle);
        }
    }
    if script.lingers {
        let mut socket = UnixStream::connect(&script.socket).unwrap();
        writeln!(socket, "leaving").unwrap();
        loop {
            thread::park();
        }
    }
}

/// The GPU that the worker is to use, as CUDA calls it.
fn gpu() -> Option<String> {
    let ordered = std::env::var("CUDA_DEVICE_ORDER").is_ok_and(|order| order == "PCI_BUS_ID");
    std::env::var("CUDA_VISIBLE_DEVICES").ok().filter(|_| ordered)
}

/// Something that the worker waits for.
enum Heard {
    /// A line on stdin.
    Order(Order),
    /// The end of stdin.
    End,
    /// The socket's answer.
    Go,
}

fn listen(to: Sender<Heard>) {
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let order = serde_json::from_str(&line.unwrap()).unwrap();
            to.send(Heard::Order(order)).unwrap();
        }
        to.send(Heard::End).unwrap();
    });
}

fn say(event: &Event) {
    println!("{}", serde_json::to_string(event).unwrap());
}

struct Worker<'a> {
    script: &'a Script,
    to: Sender<Heard>,
    inbox: Receiver<Heard>,
}

impl Worker<'_> {
    /// Trains a run by itself; whether the next one may follow.
    fn train(&self, order: &RunOrder) -> bool {
        if self.inbox.try_recv().is_ok() {
            return false;
        }
        self.begin(order);
        let act = self.act(order);
        if matches!(act, Act::Finish) {
            (1..=3).for_each(|number| epoch(order, number));
        }
        self.end(order, &act)
    }

    /// Trains runs side by side.
    fn train_together(&self, orders: &[RunOrder]) {
        orders.iter().for_each(|order| self.begin(order));
        for number in 1..=3 {
            orders.iter().for_each(|order| epoch(order, number));
        }
        for order in orders.iter().rev() {
            self.end(order, &self.act(order));
        }
    }

    fn begin(&self, order: &RunOrder) {
        note(&self.script.begun, order);
        say(&Event::Started { run: order.run });
        eprintln!("seed {}: chatter", order.seed);
    }

    /// Whether the run came to its end.
    fn end(&self, order: &RunOrder, act: &Act) -> bool {
        let run = order.run;
        let outcome = match act {
            Act::Finish => self.finish(order),
            Act::Wait => match self.check_in_and_wait(order) {
                true => {
                    (1..=3).for_each(|number| epoch(order, number));
                    self.finish(order)
                }
                false => Outcome::Interrupted { cause: "asked to stop".to_owned() },
            },
            Act::Flood(events) => {
                let stage = protocol::Stage::Decode;
                let mut goes_on = self.check_in_and_wait(order);
                (0..*events).for_each(|done| say(&Event::Progress { stage, done, total: *events }));
                goes_on &= self.check_in_and_wait(order);
                match goes_on {
                    true => self.finish(order),
                    false => Outcome::Interrupted { cause: "asked to stop".to_owned() },
                }
            }
            Act::Deaf => {
                let _socket = self.check_in(order);
                loop {
                    thread::park();
                }
            }
            Act::Fail => Outcome::Failed { cause: "scripted failure\nin two lines".to_owned() },
            Act::OutOfMemory => Outcome::OutOfMemory { cause: "CUDA out of memory".to_owned() },
            Act::Broken => {
                say(&Event::Broken { cause: "the images cannot be read".to_owned() });
                return false;
            }
            Act::Diverge => {
                epoch(order, 1);
                Outcome::Diverged { epoch: 2, cause: "the loss became infinite".to_owned() }
            }
            Act::Abort => {
                epoch(order, 1);
                epoch(order, 2);
                process::abort();
            }
            Act::Exit(code) => {
                epoch(order, 1);
                process::exit(*code);
            }
            Act::Orphan => {
                let mut orphan = process::Command::new("setsid")
                    .args([
                        "sh",
                        "-c",
                        "echo out >&2; read go < orphan-go; echo boo; echo said > orphan-done",
                    ])
                    .current_dir(self.script.ledger.parent().unwrap())
                    // Without the mark by which it would be found and killed.
                    .env_remove("SWEEP_WORKER")
                    .stdin(process::Stdio::null())
                    .stderr(process::Stdio::piped())
                    .spawn()
                    .unwrap();
                // Before it is out of our group it would be killed with us.
                orphan.stderr.take().unwrap().read_exact(&mut [0; 4]).unwrap();
                process::exit(7);
            }
            Act::Leave => {
                let left = process::Command::new("setsid")
                    // Nobody reads its stdout any more then, and of that tail would die.
                    .args([
                        "sh",
                        "-c",
                        "echo $$ > left; echo left; exec tail -f /dev/null >/dev/null",
                    ])
                    .current_dir(self.script.ledger.parent().unwrap())
                    .stdin(process::Stdio::null())
                    .stdout(process::Stdio::piped())
                    .spawn()
                    .unwrap();
                left.stdout.unwrap().read_exact(&mut [0; 5]).unwrap();
                let mut socket = self.check_in(order);
                let _ = socket.read(&mut [0; 8]);
                process::exit(7);
            }
            Act::LongLine => {
                let mut stdout = std::io::stdout().lock();
                let much = vec![b'x'; 1 << 20];
                // Whoever does not want to hear more closes the pipe or kills us.
                while stdout.write_all(&much).is_ok() {}
                process::exit(7);
            }
            Act::Garbage => {
                println!("Epoch 1/50: loss=0.5");
                loop {
                    thread::park();
                }
            }
            Act::HalfLine => {
                print!("{{\"type\":\"finished\",\"run\":");
                std::io::stdout().flush().unwrap();
                process::exit(0);
            }
            Act::WrongRun => {
                let run = spec::run_id::RunId::from_digest([1; 32]);
                let outcome = Outcome::Failed { cause: "not mine".to_owned() };
                say(&Event::Finished { run, outcome });
                loop {
                    thread::park();
                }
            }
        };
        let ended = !matches!(outcome, Outcome::Interrupted { .. });
        if ended {
            note(&self.script.ledger, order);
        }
        say(&Event::Finished { run, outcome });
        ended
    }

    fn act(&self, order: &RunOrder) -> Act {
        if self.script.bad_gpu.is_some() && self.script.bad_gpu == gpu() {
            return Act::Exit(7);
        }
        let batch_size = order.config.train.batch_size;
        let fits = |rule: &&script::Rule| {
            rule.seed.is_none_or(|seed| seed == order.seed)
                && rule.batch_size.is_none_or(|size| size == batch_size)
                && rule.times.is_none_or(|times| self.tries(order) <= times)
        };
        self.script.rules.iter().find(fits).map_or(Act::Finish, |rule| rule.act.clone())
    }

    fn check_in(&self, order: &RunOrder) -> UnixStream {
        let mut socket = UnixStream::connect(&self.script.socket).unwrap();
        writeln!(socket, "{} {}", order.seed, order.config.train.batch_size).unwrap();
        socket
    }

    /// Whether it may go on; no when asked to stop.
    fn check_in_and_wait(&self, order: &RunOrder) -> bool {
        epoch(order, 1);
        let mut socket = self.check_in(order);
        let mut answer = socket.try_clone().unwrap();
        let to = self.to.clone();
        thread::spawn(move || {
            if answer.read(&mut [0; 8]).is_ok_and(|length| length > 0) {
                to.send(Heard::Go).unwrap();
            }
        });
        let goes_on = matches!(self.inbox.recv(), Ok(Heard::Go));
        if !goes_on {
            writeln!(socket, "stopped").unwrap();
        }
        goes_on
    }

    fn finish(&self, order: &RunOrder) -> Outcome {
        let run = order.run;
        say(&Event::Progress { stage: protocol::Stage::Decode, done: 40, total: 40 });
        say(&Event::Note { run, text: "stopped early at epoch 3".to_owned() });
        let world = self.script.world.as_ref();
        let (predictions, validation, test) = match world {
            Some(world) => in_world(world, order),
            None => {
                let (predictions, test) = self.predict(order);
                let validation = Evaluation { images: 8, correct: 4 + order.seed % 4, loss: 0.5 };
                (predictions, validation, test)
            }
        };
        let Predictions { classes, images } = predictions;
        // In two parts, as of very many images.
        for part in [&images[..images.len() / 2], &images[images.len() / 2..]] {
            let predictions = Predictions { classes: classes.clone(), images: part.to_vec() };
            say(&Event::Predictions { run, predictions });
        }
        Outcome::Finished(Finished {
            epochs: 3,
            updates: 300,
            images_seen: 9600,
            stopped_early: None,
            validation: Some(validation),
            test,
            score: None,
            folds: Vec::new(),
        })
    }

    /// A test folder with class folders is a labelled one.
    fn predict(&self, order: &RunOrder) -> (Predictions, Option<Evaluation>) {
        let classes = vec!["cleaned".to_owned(), "dirty".to_owned()];
        let Some(test) = &order.config.data.test else {
            return (Predictions { classes, images: Vec::new() }, None);
        };
        let (folders, files): (Vec<_>, Vec<_>) = fs_err::read_dir(test)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .partition(|p| p.is_dir());
        if !folders.is_empty() {
            let varied = u64::from(order.config.train.batch_size) * 7 + order.seed * 13;
            let jitter = if order.seed % 2 == 0 { self.script.jitter } else { 0 };
            let wrong = self.script.worse_by + self.script.jitter - jitter;
            let correct = 400 + varied % 100 + jitter - wrong;
            let test = Evaluation { images: TEST_IMAGES, correct, loss: 0.5 };
            return (Predictions { classes, images: Vec::new() }, Some(test));
        }
        let images = files.iter().map(|file| unlabelled(file)).collect();
        (Predictions { classes, images }, None)
    }

    /// How often this run began, this time included.
    fn tries(&self, order: &RunOrder) -> usize {
        let begun = fs_err::read_to_string(&self.script.begun).unwrap();
        let this = line(order);
        begun.lines().filter(|line| *line == this).count()
    }
}

fn line(order: &RunOrder) -> String {
    format!("{} {}", order.seed, order.config.train.batch_size)
}

fn note(file: &Path, order: &RunOrder) {
    let mut file = fs_err::OpenOptions::new().append(true).create(true).open(file).unwrap();
    file.write_all(format!("{}\n", line(order)).as_bytes()).unwrap();
}

fn epoch(order: &RunOrder, number: u32) {
    let metrics = EpochMetrics {
        fold: None,
        epoch: number,
        loss: Some(1.0 / f64::from(number)),
        accuracy: Some(0.5),
        val_loss: Some(2.0 / f64::from(number)),
        val_accuracy: Some(0.5),
        val_auc: Some(0.5),
        learning_rate: Some(order.config.train.learning_rate),
        seconds: 0.25,
    };
    say(&Event::Epoch { run: order.run, metrics });
}

/// What a run of `world` tells of its images.
fn in_world(world: &World, order: &RunOrder) -> (Predictions, Evaluation, Option<Evaluation>) {
    let train = &order.config.train;
    let fits = |effect: &&Effect| {
        effect.batch_size.is_none_or(|size| size == train.batch_size)
            && effect.learning_rate.is_none_or(|rate| rate == train.learning_rate)
            && effect.epochs.is_none_or(|epochs| epochs == train.epochs)
    };
    let sum = |of: fn(&Effect) -> f64| -> f64 { world.effects.iter().filter(fits).map(of).sum() };
    let on_validation = world.accuracy + sum(|effect| effect.add);
    let on_test = on_validation + sum(|effect| effect.add_test);
    let mut classes = world.classes.clone();
    if classes.is_empty() {
        classes = vec!["cleaned".to_owned(), "dirty".to_owned()];
    }
    let count = classes.len() as u64;
    let mut images = Vec::new();
    let mut tell = |set: ImageSet, name: &str, accuracy: f64| {
        let mut correct = 0;
        for number in 0..world.images {
            let named = world.names.get(number as usize);
            let image = named.cloned().unwrap_or_else(|| format!("{name}/{number:04}.jpg"));
            // How hard an image is, in its place among all, and what a run makes of it.
            let difficulty = (number as f64 + 0.5) / world.images as f64;
            let id = order.run.to_string();
            let run = chance(&["run", &id]) - 0.5;
            let own = chance(&["image", &id, &image]) - 0.5;
            let right = difficulty + 0.02 * run + 0.1 * own < accuracy;
            correct += u64::from(right);
            let label = (number % count) as u32;
            let predicted = if right { label } else { (label + 1) % count as u32 };
            let mut probabilities = vec![0.25 / (count - 1) as f32; classes.len()];
            probabilities[predicted as usize] = 0.75;
            let label = Some(label).filter(|_| set != ImageSet::Test || !world.unlabelled);
            images.push(Prediction { set, fold: None, image, label, predicted, probabilities });
        }
        Evaluation { images: world.images, correct, loss: 0.5 }
    };
    let test = tell(ImageSet::Test, "test", on_test);
    let validation = tell(ImageSet::Validation, "train", on_validation);
    (Predictions { classes, images }, validation, Some(test).filter(|_| !world.unlabelled))
}

/// A number from 0 to 1 that follows from these words alone (FNV-1a, and a finish that spreads it).
fn chance(words: &[&str]) -> f64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in words.iter().flat_map(|word| word.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

fn unlabelled(file: &Path) -> Prediction {
    let image = file.file_name().unwrap().to_string_lossy().into_owned();
    let predicted = u32::from(image.as_bytes()[3] % 2);
    let probabilities = if predicted == 0 { vec![0.75, 0.25] } else { vec![0.25, 0.75] };
    Prediction { set: ImageSet::Test, fold: None, image, label: None, predicted, probabilities }
}
