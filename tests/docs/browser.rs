//! A headless Chromium, controlled through the DevTools protocol over two pipes.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// The timeout of commands and conditions, generous for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A browser with one page.
pub(super) struct Browser {
    process: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    last_id: u64,
    session: Option<String>,
    /// The events received so far.
    events: Vec<Value>,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser with an empty page.
    ///
    /// # Panics
    ///
    /// Panics if no browser is installed. Tests that call this function carry
    /// `cfg_attr(not(has_chromium), ignore)`.
    pub(super) fn start() -> Browser {
        let program = test_tools::CHROMIUM.find().expect("Chromium is installed");
        let profile = tempfile::tempdir().expect("create a temporary folder");
        // The protocol uses the descriptors 3 and 4, which only a shell can redirect without
        // `unsafe`.
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
            .expect("start the browser");
        let commands = process.stdin.take().expect("stdin is piped");
        let output = BufReader::new(process.stdout.take().expect("stdout is piped"));
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for message in output.split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).expect("a JSON message");
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let mut browser = Browser {
            process,
            commands,
            messages,
            last_id: 0,
            session: None,
            events: Vec::new(),
            _profile: profile,
        };
        browser.attach();
        browser
    }

    /// Opens an empty page, and subscribes to its events.
    fn attach(&mut self) {
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
        self.last_id += 1;
        let mut command = json!({"id": self.last_id, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            command["sessionId"] = session.as_str().into();
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).expect("send a command");
        loop {
            let mut message =
                self.messages.recv_timeout(TIMEOUT).expect("a message before the timeout");
            if message["id"] == self.last_id {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    /// Loads a URL, and waits until the scripts of the page have run.
    pub(super) fn navigate(&mut self, url: &str) {
        self.send("Page.navigate", json!({"url": url}));
        self.wait_until(&format!(
            "location.href === {url:?} && document.readyState === 'complete'"
        ));
    }

    /// Evaluates a JavaScript expression. A promise is awaited.
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
    pub(super) fn wait_until(&mut self, condition: &str) {
        let start = std::time::Instant::now();
        while self.evaluate(condition) != true {
            assert!(start.elapsed() < TIMEOUT, "timeout: {condition}; {:?}", self.errors());
        }
    }

    /// Sets the width of the viewport in pixels.
    pub(super) fn set_width(&mut self, width: u32) {
        let size = json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": true});
        self.send("Emulation.setDeviceMetricsOverride", size);
    }

    /// Returns the errors so far: exceptions of scripts, violations of the Content-Security-Policy,
    /// failed requests.
    pub(super) fn errors(&self) -> Vec<&Value> {
        let is_error = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => event["params"]["type"] == "error",
            Some("Log.entryAdded") => event["params"]["entry"]["level"] == "error",
            _ => false,
        };
        self.events.iter().filter(is_error).collect()
    }

    /// Returns the URLs of all network requests so far.
    pub(super) fn requested_urls(&self) -> Vec<&str> {
        let requests =
            self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        let urls = requests.filter_map(|event| event["params"]["request"]["url"].as_str());
        urls.filter(|url| !url.starts_with("data:")).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its child processes exit with it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
