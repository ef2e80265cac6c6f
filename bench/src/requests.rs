//! What is asked of the systems.

use std::fs;
use std::path::PathBuf;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::process::Command;

use crate::paths::folder;
use crate::stage::Stage;
use crate::systems::Running;

/// How many different words are asked for, of all that there are.
const DIFFERENT: usize = 20_000;
/// How many different words may be added in one measurement. More would be asked for twice.
const NEW: usize = 500_000;

/// The body that the ladder is sent, and that all of the floor answers with.
pub const ENTRY: &str =
    r#"{"word":"abacus","definition":"a frame with beads on rods, for counting"}"#;

/// A kind of request.
pub struct Requests {
    /// What it is called in results.
    pub name: &'static str,
    /// Whether it leaves something behind.
    pub writes: bool,
    method: &'static str,
    paths: Vec<String>,
    body: Body,
    expected: &'static [u16],
}

enum Body {
    Empty,
    One(PathBuf),
    /// A file with one in each line.
    Lines(PathBuf),
}

/// Requests to one system.
pub struct Prepared {
    /// The statuses that are right.
    pub expected: &'static [u16],
    method: &'static str,
    target: Target,
    body: Option<(&'static str, PathBuf)>,
}

enum Target {
    Url(String),
    /// A file with one in each line.
    Urls(PathBuf),
}

impl Requests {
    fn get(name: &'static str, paths: Vec<String>) -> Requests {
        let body = Body::Empty;
        Requests { name, writes: false, method: "GET", paths, body, expected: &[200] }
    }

    fn post(name: &'static str, path: &str, body: Body, expected: &'static [u16]) -> Requests {
        let paths = vec![path.to_owned()];
        Requests { name, writes: false, method: "POST", paths, body, expected }
    }

    /// Words that have an entry, each as likely as the others.
    pub fn look(stage: &Stage) -> Requests {
        let words = stage.words.iter().take(DIFFERENT);
        let path = |word| format!("/api/v1/look/{}", utf8_percent_encode(word, NON_ALPHANUMERIC));
        Requests::get("look", words.map(|word| path(word)).collect())
    }

    /// Users by their ids.
    pub fn user(stage: &Stage) -> Requests {
        let ids = 1..=stage.users.min(DIFFERENT as u64);
        Requests::get("user", ids.map(|id| format!("/api/v1/users/{id}")).collect())
    }

    /// Pages of 100 entries, from anywhere among the first thousand.
    pub fn list() -> Requests {
        let pages = 0..10;
        let path = |page| format!("/api/v1/entries?skip={}&limit=100", 100 * page);
        Requests::get("list", pages.map(path).collect())
    }

    /// New words. The few that are drawn twice are refused, as they should be.
    pub fn add() -> anyhow::Result<Requests> {
        let path = file("new-words");
        let body =
            |n| format!("{{\"word\":\"new word {n}\",\"definition\":\"what is new about {n}\"}}\n");
        fs::write(&path, (0..NEW).map(body).collect::<String>())?;
        let add = Requests::post("add", "/api/v1/newentry", Body::Lines(path), &[201, 400]);
        Ok(Requests { writes: true, ..add })
    }

    /// Removes the words that [`Requests::add`] has added, or will have.
    pub fn remove() -> Requests {
        let path = |n| format!("/api/v1/entries/new%20word%20{n}");
        let paths = (0..NEW).step_by(NEW / DIFFERENT).map(path).collect();
        let remove = Requests::get("remove", paths);
        Requests { writes: true, method: "DELETE", expected: &[200, 404], ..remove }
    }

    /// The total of a short order: no database.
    pub fn spend() -> anyhow::Result<Requests> {
        let path = file("order");
        let order =
            r#"{"costs":{"socks":5,"shoes":60,"sweater":30},"items":["socks","shoes"],"tax":0.09}"#;
        fs::write(&path, order)?;
        Ok(Requests::post("spend", "/api/v1/spending", Body::One(path), &[200]))
    }

    /// The total of the longest order: 10,000 prices and 10,000 items.
    pub fn spend_most() -> anyhow::Result<Requests> {
        let path = file("longest-order");
        let item = |n| format!("something to buy, number {n:05}");
        let costs: Vec<_> = (0..10_000).map(|n| format!("\"{}\":{n}.99", item(n))).collect();
        let items: Vec<_> = (0..10_000).map(|n| format!("\"{}\"", item(n))).collect();
        let (costs, items) = (costs.join(","), items.join(","));
        fs::write(&path, format!("{{\"costs\":{{{costs}}},\"items\":[{items}],\"tax\":0.09}}"))?;
        Ok(Requests::post("spend-most", "/api/v1/spending", Body::One(path), &[200]))
    }

    /// The longest list of the longest words that a body of 1 MiB holds: 10,000 of 100 characters.
    pub fn nth_char_most() -> anyhow::Result<Requests> {
        let path = file("longest-words");
        let words = vec![format!("\"{}\"", "w".repeat(100)); 10_000].join(",");
        fs::write(&path, format!("{{\"words\":[{words}]}}"))?;
        Ok(Requests::post("nth-char-most", "/api/v1/nth-char", Body::One(path), &[200]))
    }

    /// The list of words of a `/api/v1/nth-char` request, short: no database.
    pub fn nth_char() -> anyhow::Result<Requests> {
        let path = file("words");
        fs::write(&path, r#"{"words":["yoda","best","has"]}"#)?;
        Ok(Requests::post("nth-char", "/api/v1/nth-char", Body::One(path), &[200]))
    }

    /// The health endpoint of a component or peer: no database.
    pub fn health() -> Requests {
        Requests::get("health", vec!["/health".to_owned()])
    }

    /// A component of the floor.
    pub fn floor(name: &'static str) -> Requests {
        Requests::get(name, vec![format!("/{name}")])
    }

    /// A step of the ladder. All steps are sent the same header fields and body, used or not.
    pub fn step(name: &'static str, path: &str) -> anyhow::Result<Requests> {
        let body = file("entry");
        fs::write(&body, ENTRY)?;
        Ok(Requests::post(name, path, Body::One(body), &[200]))
    }

    /// Ready to be sent to one system.
    pub fn to(&self, running: &Running) -> anyhow::Result<Prepared> {
        self.to_number(running, 0)
    }

    /// The same for one of several instances of a system.
    pub fn to_number(&self, running: &Running, number: usize) -> anyhow::Result<Prepared> {
        let base = running.base();
        let target = match self.paths.as_slice() {
            [path] => Target::Url(format!("{base}{path}")),
            paths => {
                let urls = file(&format!("{}-{number}-{}", running.name(), self.name));
                let lines = paths.iter().map(|path| format!("{base}{path}\n"));
                fs::write(&urls, lines.collect::<String>())?;
                Target::Urls(urls)
            }
        };
        let body = match &self.body {
            Body::Empty => None,
            Body::One(path) => Some(("-D", path.clone())),
            Body::Lines(path) => Some(("-Z", path.clone())),
        };
        Ok(Prepared { expected: self.expected, method: self.method, target, body })
    }
}

impl Prepared {
    /// As oha's arguments.
    pub fn add_to(&self, command: &mut Command) {
        command.args(["-m", self.method]);
        if let Some((option, path)) = &self.body {
            command.args(["-T", "application/json", option]).arg(path);
        }
        match &self.target {
            Target::Url(url) => command.arg(url),
            Target::Urls(path) => command.arg("--urls-from-file").arg(path),
        };
    }
}

/// Where what is sent is kept while it is needed.
fn file(name: &str) -> PathBuf {
    folder().join(format!("{name}.requests"))
}
