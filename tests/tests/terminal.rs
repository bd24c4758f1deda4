//! `sweep` in a terminal of its own: how it leaves it.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use end_to_end::script::Act;

use crate::bench::{Bench, PATIENCE};

const CTRL_C: &[u8] = b"\x03";

/// A terminal, in which a shell writes down how it was before and after `sweep run`.
struct Terminal {
    script: Child,
    keys: ChildStdin,
    shown: Receiver<Vec<u8>>,
    text: String,
}

impl Terminal {
    fn open(bench: &Bench) -> Self {
        let sweep = bench.command(&["run", "batch_size.toml"]);
        let words = [sweep.get_program()].into_iter().chain(sweep.get_args());
        let words: Vec<String> =
            words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
        // The shell hears Ctrl-C too, and is to go on.
        let line = format!(
            "trap : INT; stty -a > before; {}; echo $? > code; stty -a > after",
            words.join(" ")
        );
        let mut script = Command::new("script");
        script.args(["--quiet", "--command", &line, "/dev/null"]);
        script.current_dir(bench.path("")).env("SHELL", "/bin/sh").env("TERM", "xterm-256color");
        for (name, value) in sweep.get_envs() {
            match value {
                Some(value) => script.env(name, value),
                None => script.env_remove(name),
            };
        }
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut script = script.spawn().unwrap();
        let (keys, mut screen) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
        let (to, shown) = mpsc::channel();
        thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(length @ 1..) = screen.read(&mut some) {
                let _ = to.send(some[..length].to_vec());
            }
        });
        Self { script, keys, shown, text: String::new() }
    }

    fn press(&mut self, key: &[u8]) {
        self.keys.write_all(key).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits until this has been shown, from the beginning.
    fn wait_for(&mut self, words: &str) {
        while !self.text.contains(words) {
            let more = self.shown.recv_timeout(PATIENCE);
            let more = more.unwrap_or_else(|_| panic!("{words} was not shown: {:?}", self.text));
            self.text.push_str(&String::from_utf8_lossy(&more));
        }
    }

    /// All that was shown.
    fn end(mut self) -> String {
        while let Ok(more) = self.shown.recv_timeout(PATIENCE) {
            self.text.push_str(&String::from_utf8_lossy(&more));
        }
        std::mem::take(&mut self.text)
    }
}

/// A test that fails leaves nothing running.
impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

/// Ctrl-C once where the worker listens, twice where it does not.
#[test]
fn after_ctrl_c_once_or_twice_the_terminal_is_as_it_was() {
    for (act, presses) in [(Act::Wait, 1), (Act::Deaf, 2)] {
        let bench = Bench::new();
        bench.rule(2, 16, act);
        let mut terminal = Terminal::open(&bench);
        let worker = bench.accept();
        terminal.wait_for("[3/6]");
        // Bars are drawn: there is something to clear away.
        terminal.wait_for("3/6 runs");
        terminal.press(CTRL_C);
        if presses == 2 {
            terminal.wait_for("once more to kill them");
            terminal.press(CTRL_C);
        }
        worker.rest();
        let text = terminal.end();
        assert_eq!(bench.read("code"), "130\n", "{text:?}");
        let (before, after) = (bench.read("before"), bench.read("after"));
        assert_eq!(before, after);
        assert!(before.contains(" echo ") && before.contains(" icanon "), "{before}");
        let last = |code: &str| text.rfind(code);
        assert!(last("\x1b[?25l") <= last("\x1b[?25h"), "the cursor is hidden: {text:?}");
        assert!(last("\x1b[?1049h") <= last("\x1b[?1049l"), "another screen is shown: {text:?}");
        let rest = text.rsplit_once("interrupted: give the same command to go on").unwrap().1;
        assert_eq!(rest.trim(), "", "nothing stays behind the last words: {text:?}");
    }
}
