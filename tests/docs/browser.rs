//! A Chromium that is driven by the DevTools protocol over two pipes.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long an answer may take: longer than anything here does on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page.
pub(super) struct Browser {
    process: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    sent: u64,
    session: Option<String>,
    /// What happened that was not an answer.
    events: Vec<Value>,
    _profile: TempDir,
}

/// The program, where there is one.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let mut candidates =
        std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    candidates.find(|candidate| candidate.is_file())
}

impl Browser {
    /// A browser with an empty page; `None`, and a word about it, where none is installed.
    pub(super) fn start() -> Option<Browser> {
        let Some(program) = program() else {
            eprintln!("no Chromium is installed: the pages are not looked at in a browser");
            return None;
        };
        let profile = tempfile::tempdir().expect("a folder");
        // The protocol is on the descriptors 3 and 4, which only a shell can say without `unsafe`.
        let mut process = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1"])
            .arg(program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
            ])
            .args(["--disable-background-networking", "--disable-component-update"])
            .args(["--disable-dev-shm-usage", "--disable-sync", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let commands = process.stdin.take().expect("it is piped");
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for message in output.split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).expect("JSON");
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let mut browser = Browser {
            process,
            commands,
            messages,
            sent: 0,
            session: None,
            events: Vec::new(),
            _profile: profile,
        };
        browser.open();
        Some(browser)
    }

    fn open(&mut self) {
        let target = self.send("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = self.send("Target.attachToTarget", attach);
        self.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Log", "Runtime", "Network"] {
            self.send(&format!("{domain}.enable"), json!({}));
        }
    }

    /// Sends a command and waits for its result.
    fn send(&mut self, method: &str, parameters: Value) -> Value {
        self.sent += 1;
        let mut command = json!({"id": self.sent, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            command["sessionId"] = session.as_str().into();
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).expect("the browser listens");
        loop {
            let mut message = self.messages.recv_timeout(PATIENCE).expect("the browser answers");
            if message["id"] == self.sent {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    /// Goes to an address, and waits until the page's own scripts have run.
    pub(super) fn visit(&mut self, url: &str) {
        self.send("Page.navigate", json!({"url": url}));
        self.until(&format!("location.href === {url:?} && document.readyState === 'complete'"));
    }

    /// The value of an expression, or of what it promises.
    pub(super) fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true,
        });
        let mut result = self.send("Runtime.evaluate", parameters);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].take()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub(super) fn until(&mut self, condition: &str) {
        let start = std::time::Instant::now();
        while self.evaluate(condition) != true {
            assert!(start.elapsed() < PATIENCE, "never: {condition}; {:?}", self.complaints());
        }
    }

    /// Makes the window so many pixels wide.
    pub(super) fn narrow(&mut self, width: u32) {
        let size = json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": true});
        self.send("Emulation.setDeviceMetricsOverride", size);
    }

    /// What the browser has complained about: scripts that failed, what the page's policy forbids,
    /// what could not be loaded.
    pub(super) fn complaints(&self) -> Vec<&Value> {
        let bad = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => event["params"]["type"] == "error",
            Some("Log.entryAdded") => event["params"]["entry"]["level"] == "error",
            _ => false,
        };
        self.events.iter().filter(bad).collect()
    }

    /// The addresses that it has asked the network for.
    pub(super) fn requested(&self) -> Vec<&str> {
        let requests =
            self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        let urls = requests.filter_map(|event| event["params"]["request"]["url"].as_str());
        urls.filter(|url| !url.starts_with("data:")).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The processes that it has started go with it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
