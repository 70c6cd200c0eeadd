//! A real browser for one test: Debian's Chromium without a window, driven through the pipe of its DevTools protocol.
//!
//! Why a pipe: it needs no port, no websocket and nothing to install but the browser.
//!
//! Must never: leave a process or a folder behind, or hide what the page complained of.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// An answer of the browser comes within this.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Between two looks at a page.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The pipe of the protocol is the browser's third and fourth descriptor.
const PIPED: &str = "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";
/// Names of the browser, the first that is installed counts.
const NAMES: [&str; 2] = ["chromium", "chromium-browser"];
const FLAGS: [&str; 9] = [
    "--headless=new",
    "--remote-debugging-pipe",
    // Tests run as root on some machines, where the sandbox does not start; the pages are our own.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--no-first-run",
    "--lang=en",
];

/// A browser with one page.
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    calls: u64,
    session: Option<String>,
    complaints: Vec<String>,
    _folder: TempDir,
}

impl Browser {
    /// Starts the browser and opens a page of this size.
    #[must_use]
    pub fn open(url: &str, (width, height): (u32, u32)) -> Self {
        let folder = tempfile::Builder::new().prefix("tercet-chromium-").tempdir_in("/var/tmp");
        let folder = folder.expect("a temporary folder can be made");
        let is_here = |name: &&&str| Command::new(name).arg("--version").output().is_ok();
        let name = NAMES.iter().find(is_here).expect("Chromium is installed: ./tests/run does it");
        let mut child = Command::new("sh")
            .args(["-c", PIPED, "sh", name])
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", folder.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the browser starts");
        let to = child.stdin.take().expect("the pipe is there");
        let mut said = BufReader::new(child.stdout.take().expect("the pipe is there"));
        let (sender, from) = channel();
        std::thread::spawn(move || {
            let mut line = Vec::new();
            while said.read_until(0, &mut line).is_ok_and(|bytes| bytes > 0) {
                let message = serde_json::from_slice(line.strip_suffix(&[0]).unwrap_or(&line));
                if sender.send(message.unwrap_or(Value::Null)).is_err() {
                    return;
                }
                line.clear();
            }
        });
        let mut browser = Self { child, to, from, calls: 0, session: None, complaints: Vec::new(), _folder: folder };
        let target = browser.call("Target.createTarget", &json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", &attach);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.call(domain, &json!({}));
        }
        browser.size(width, height);
        browser.call("Page.navigate", &json!({ "url": url }));
        browser
    }

    /// Gives the page another size.
    pub fn size(&mut self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", &size);
    }

    /// The value of an expression on the page.
    pub fn value(&mut self, expression: &str) -> Value {
        let call = json!({"expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true});
        let mut answer = self.call("Runtime.evaluate", &call);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].take()
    }

    /// Whether an expression is true. A page that is just being loaded may have nothing that it speaks of.
    fn is_true(&mut self, expression: &str) -> bool {
        let answer = self.call("Runtime.evaluate", &json!({ "expression": expression, "returnByValue": true }));
        answer["result"]["value"] == json!(true)
    }

    /// Waits until an expression is true; says how long that took.
    pub fn until(&mut self, expression: &str, within: Duration) -> Duration {
        let begun = Instant::now();
        while !self.is_true(expression) {
            if begun.elapsed() > within {
                let text = self.value("document.body.innerText");
                panic!(
                    "after {within:?} it is not true that {expression}; the page complains of {:?} and shows:\n{}",
                    self.complaints,
                    text.as_str().unwrap_or_default()
                );
            }
            std::thread::sleep(LOOK_EVERY);
        }
        begun.elapsed()
    }

    /// Waits for a text on the page.
    pub fn shows(&mut self, text: &str, within: Duration) -> Duration {
        self.until(&format!("document.body.innerText.includes({})", json!(text)), within)
    }

    /// Presses the button, or follows the link, of this text; the last one that is shown.
    pub fn press(&mut self, text: &str) {
        let find = format!(
            "[...document.querySelectorAll('button, a')].findLast(one => one.textContent.trim() === {} && one.checkVisibility())",
            json!(text)
        );
        self.until(&format!("!!{find}"), ANSWER_MAX);
        self.value(&format!("{find}.click()"));
    }

    /// Types a key as the keyboard does: `Tab`, `Enter`, `Escape`.
    pub fn key(&mut self, key: &str) {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            _ => 27,
        };
        for kind in ["rawKeyDown", "keyUp"] {
            let call = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code});
            self.call("Input.dispatchKeyEvent", &call);
            if kind == "rawKeyDown" && key == "Enter" {
                self.call("Input.dispatchKeyEvent", &json!({"type": "char", "text": "\r", "key": key}));
            }
        }
    }

    /// What the page complained of so far: exceptions, refused loads, broken policies.
    #[must_use]
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.calls += 1;
        let mut call = json!({"id": self.calls, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            call["sessionId"] = json!(session);
        }
        let mut bytes = call.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes).expect("the browser listens");
        let until = Instant::now() + ANSWER_MAX;
        loop {
            let mut message = match self.from.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => panic!("{method} is not answered"),
            };
            if message["id"] == json!(self.calls) {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].take();
            }
            self.complaints.extend(complaint(&message));
        }
    }
}

/// What an event complains of, if it does.
fn complaint(event: &Value) -> Option<String> {
    let entry = &event["params"]["entry"];
    match event["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(event["params"]["exceptionDetails"].to_string()),
        "Log.entryAdded" if entry["level"] == "error" => Some(format!("{} {}", entry["text"], entry["url"])),
        _ => None,
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let close = b"{\"id\":0,\"method\":\"Browser.close\"}\0";
        let is_told = self.to.write_all(close).is_ok();
        let until = Instant::now() + Duration::from_secs(5);
        while is_told && Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(LOOK_EVERY);
        }
        // It has ended, or does so now; nothing is to be done about an error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
