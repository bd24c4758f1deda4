//! Chromium without a window, driven over its debugging pipe.
//!
//! The protocol over the pipe is JSON ended by a zero byte, both ways. The crates that drive Chromium
//! (`headless_chrome`, `chromiumoxide`) speak it through a websocket, and bring an HTTP client, or tokio and
//! tens of thousands of generated lines; a dozen of its methods are wanted here. A pipe also needs no port, and
//! Chromium ends by itself when nobody holds the other end any more.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(120);
/// Where Debian and others put it.
const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Whether Chromium is installed. Where it is not, the test that asks is skipped, and says so.
pub(crate) fn is_here() -> bool {
    let here = program().is_some();
    if !here {
        eprintln!(
            "skipped: there is no chromium; `./scripts/setup_chromium` as root on Debian gets it"
        );
    }
    here
}

fn program() -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = || path.split(':').map(Path::new);
    let mut files = PROGRAMS.iter().flat_map(|name| folders().map(move |folder| folder.join(name)));
    files.find(|file| file.is_file())
}

/// A browser with one page; dropped, nothing of it is left.
pub(crate) struct Browser {
    process: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    session: Option<String>,
    calls: u64,
    /// What happened that nobody has asked for yet.
    events: Vec<Value>,
    _profile: TempDir,
}

impl Browser {
    pub(crate) fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        // The pipe is at descriptors 3 and 4, where the shell puts our ends of stdin and stdout.
        let mut command = Command::new("sh");
        command.args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#]);
        command.arg(program().unwrap()).args([
            "--headless",
            "--remote-debugging-pipe",
            "--no-first-run",
            "--disable-gpu",
            "--disable-extensions",
            "--disable-background-networking",
            "--disable-component-update",
            // Memory that is shared lies in /tmp: a container's /dev/shm may be small.
            "--disable-dev-shm-usage",
            // Whatever it would look up is not there.
            "--host-resolver-rules=MAP * ~NOTFOUND",
        ]);
        if rustix::process::geteuid().is_root() {
            // Chromium's sandbox refuses root. The pages are our own, and reach no network.
            command.arg("--no-sandbox");
        }
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        command.env("HOME", profile.path()).process_group(0);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let (said, from) = mpsc::channel();
        thread::spawn(move || {
            let mut message = Vec::new();
            while stdout.read_until(0, &mut message).is_ok_and(|length| length > 0) {
                message.pop();
                if said.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let to = process.stdin.take().unwrap();
        let (session, calls, events) = (None, 0, Vec::new());
        let mut browser = Self { process, to, from, session, calls, events, _profile: profile };
        let page = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let page = json!({ "targetId": page["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", &page);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser.size(1280, 900);
        browser
    }

    /// Has the browser do something, and waits for what it says to that.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(&[message.to_string().as_bytes(), &[0]].concat()).unwrap();
        loop {
            let mut message = self.hear();
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    fn hear(&self) -> Value {
        self.from
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|error| panic!("Chromium says nothing: {error}"))
    }

    /// Opens a file, and waits until all of it is there.
    pub(crate) fn open(&mut self, file: &Path) {
        self.events.clear();
        let gone =
            self.call("Page.navigate", &json!({ "url": format!("file://{}", file.display()) }));
        assert!(gone["errorText"].is_null(), "{gone}");
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.hear();
            self.events.push(event);
        }
        self.settle();
    }

    /// Waits until the page is drawn as it now is.
    pub(crate) fn settle(&mut self) {
        self.eval("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))");
    }

    /// The value of an expression in the page; of a promise, what it comes to.
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let params =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut said = self.call("Runtime.evaluate", &params);
        assert!(said["exceptionDetails"].is_null(), "{expression}: {}", said["exceptionDetails"]);
        said["result"]["value"].take()
    }

    /// Strings that an expression lists.
    pub(crate) fn texts(&mut self, expression: &str) -> Vec<String> {
        let texts = self.eval(expression);
        let texts = texts.as_array().unwrap_or_else(|| panic!("no list: {expression}: {texts}"));
        texts.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    }

    /// Whatever the page complained of, logged or asked the network for since it was opened.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        self.settle();
        let told = |event: &Value| {
            let params = &event["params"];
            match event["method"].as_str().unwrap_or_default() {
                "Log.entryAdded" => Some(params["entry"].to_string()),
                "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" => Some(params.to_string()),
                "Page.javascriptDialogOpening" => Some(params.to_string()),
                "Network.requestWillBeSent" => {
                    let url = params["request"]["url"].as_str().unwrap_or_default();
                    let own = params["type"] == "Document" && url.starts_with("file:");
                    (!own && !url.starts_with("data:")).then(|| format!("asked for {url}"))
                }
                _ => None,
            }
        };
        self.events.iter().filter_map(told).collect()
    }

    /// A window or a phone of so many CSS pixels.
    pub(crate) fn size(&mut self, width: u32, height: u32) {
        let is_phone = width < 600;
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone
        });
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// `screen` or `print`, `light` or `dark`.
    pub(crate) fn media(&mut self, media: &str, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", &json!({ "media": media, "features": features }));
        self.settle();
    }

    /// Clicks in the middle of an element, with the mouse.
    pub(crate) fn click(&mut self, selector: &str) {
        let found = serde_json::to_string(selector).unwrap();
        let place = self.eval(&format!(
            "(() => {{ const found = document.querySelector({found}); \
             found.scrollIntoView({{ block: 'center', behavior: 'instant' }}); \
             const box = found.getBoundingClientRect(); \
             return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        ));
        for event in ["mousePressed", "mouseReleased"] {
            let params = json!({
                "type": event, "x": place[0], "y": place[1], "button": "left", "clickCount": 1
            });
            self.call("Input.dispatchMouseEvent", &params);
        }
        self.settle();
    }

    /// Presses a key: `Tab`, `Enter`, `Space`, `ArrowUp`, `ArrowDown`.
    pub(crate) fn press(&mut self, key: &str) {
        let (name, code, text) = match key {
            "Tab" => ("Tab", 9, ""),
            "Enter" => ("Enter", 13, "\r"),
            "Space" => (" ", 32, " "),
            "ArrowUp" => ("ArrowUp", 38, ""),
            "ArrowDown" => ("ArrowDown", 40, ""),
            other => panic!("no key {other}"),
        };
        for event in ["keyDown", "keyUp"] {
            let mut params = json!({
                "type": event, "key": name, "code": key, "windowsVirtualKeyCode": code
            });
            if event == "keyDown" && !text.is_empty() {
                params["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", &params);
        }
        self.settle();
    }

    /// Types where the focus is.
    pub(crate) fn enter(&mut self, text: &str) {
        self.call("Input.insertText", &json!({ "text": text }));
        self.settle();
    }

    /// Prints the page, and forgets the paper: its size in bytes, as base64.
    pub(crate) fn print(&mut self) -> usize {
        let printed = self.call("Page.printToPDF", &json!({}));
        printed["data"].as_str().unwrap().len()
    }
}

/// A test that fails leaves nothing running: a browser is a group of processes.
impl Drop for Browser {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.process), Signal::KILL);
        let _ = self.process.wait();
    }
}
