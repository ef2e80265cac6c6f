//! The requests that the load generator sends.

use std::fs;
use std::path::PathBuf;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::process::Command;

use crate::fixture::Fixture;
use crate::paths::output_directory;
use crate::systems::RunningSystem;

/// The number of distinct words, users or paths in one kind of request.
const DISTINCT: usize = 20_000;
/// The number of distinct words to insert.
const NEW_WORDS: usize = 500_000;

/// The request body of the ladder, and the response body of all floor components.
pub const ENTRY: &str =
    r#"{"word":"abacus","definition":"a frame with beads on rods, for counting"}"#;

/// A kind of request.
pub struct Requests {
    /// The name of the scenario in results.
    pub name: &'static str,
    /// Whether the requests write to the database.
    pub writes: bool,
    method: &'static str,
    paths: Vec<String>,
    body: Body,
    expected: &'static [u16],
}

enum Body {
    Empty,
    One(PathBuf),
    /// A file with one body per line.
    Lines(PathBuf),
}

/// Requests to one system.
pub struct Prepared {
    /// The expected status codes.
    pub expected: &'static [u16],
    method: &'static str,
    target: Target,
    body: Option<(&'static str, PathBuf)>,
}

enum Target {
    Url(String),
    /// A file with one URL per line.
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

    /// Lookups of existing words, uniformly distributed.
    pub fn lookup(fixture: &Fixture) -> Requests {
        let words = fixture.words.iter().take(DISTINCT);
        let path = |word| format!("/api/v1/look/{}", utf8_percent_encode(word, NON_ALPHANUMERIC));
        Requests::get("look", words.map(|word| path(word)).collect())
    }

    /// Reads of users by id.
    pub fn user(fixture: &Fixture) -> Requests {
        let ids = 1..=fixture.users.min(DISTINCT as u64);
        Requests::get("user", ids.map(|id| format!("/api/v1/users/{id}")).collect())
    }

    /// Pages of 100 entries among the first thousand.
    pub fn list() -> Requests {
        let pages = 0..10;
        let path = |page| format!("/api/v1/entries?skip={}&limit=100", 100 * page);
        Requests::get("list", pages.map(path).collect())
    }

    /// Inserts of new words. oha draws at random, so a few repeat and are rejected with 400.
    pub fn add() -> anyhow::Result<Requests> {
        let path = request_file("new-words");
        let body =
            |n| format!("{{\"word\":\"new word {n}\",\"definition\":\"what is new about {n}\"}}\n");
        fs::write(&path, (0..NEW_WORDS).map(body).collect::<String>())?;
        let add = Requests::post("add", "/api/v1/newentry", Body::Lines(path), &[201, 400]);
        Ok(Requests { writes: true, ..add })
    }

    /// Deletions of the words that [`Requests::add`] inserts.
    pub fn remove() -> Requests {
        let path = |n| format!("/api/v1/entries/new%20word%20{n}");
        let paths = (0..NEW_WORDS).step_by(NEW_WORDS / DISTINCT).map(path).collect();
        let remove = Requests::get("remove", paths);
        Requests { writes: true, method: "DELETE", expected: &[200, 404], ..remove }
    }

    /// The total of a short order, without the database.
    pub fn spending() -> anyhow::Result<Requests> {
        let path = request_file("order");
        let order =
            r#"{"costs":{"socks":5,"shoes":60,"sweater":30},"items":["socks","shoes"],"tax":0.09}"#;
        fs::write(&path, order)?;
        Ok(Requests::post("spend", "/api/v1/spending", Body::One(path), &[200]))
    }

    /// The total of the largest order: 10,000 prices and 10,000 items.
    pub fn largest_spending() -> anyhow::Result<Requests> {
        let path = request_file("longest-order");
        let item = |n| format!("something to buy, number {n:05}");
        let costs: Vec<_> = (0..10_000).map(|n| format!("\"{}\":{n}.99", item(n))).collect();
        let items: Vec<_> = (0..10_000).map(|n| format!("\"{}\"", item(n))).collect();
        let (costs, items) = (costs.join(","), items.join(","));
        fs::write(&path, format!("{{\"costs\":{{{costs}}},\"items\":[{items}],\"tax\":0.09}}"))?;
        Ok(Requests::post("spend-most", "/api/v1/spending", Body::One(path), &[200]))
    }

    /// The largest list of words that fits into 1 MiB: 10,000 words of 100 characters.
    pub fn largest_nth_char() -> anyhow::Result<Requests> {
        let path = request_file("longest-words");
        let words = vec![format!("\"{}\"", "w".repeat(100)); 10_000].join(",");
        fs::write(&path, format!("{{\"words\":[{words}]}}"))?;
        Ok(Requests::post("nth-char-most", "/api/v1/nth-char", Body::One(path), &[200]))
    }

    /// The n-th characters of three words, without the database.
    pub fn nth_char() -> anyhow::Result<Requests> {
        let path = request_file("words");
        fs::write(&path, r#"{"words":["yoda","best","has"]}"#)?;
        Ok(Requests::post("nth-char", "/api/v1/nth-char", Body::One(path), &[200]))
    }

    /// The health endpoint, without the database.
    pub fn health() -> Requests {
        Requests::get("health", vec!["/health".to_owned()])
    }

    /// A floor component.
    pub fn floor(name: &'static str) -> Requests {
        Requests::get(name, vec![format!("/{name}")])
    }

    /// A step of the ladder. All steps receive the same headers and body, used or not.
    pub fn ladder_step(name: &'static str, path: &str) -> anyhow::Result<Requests> {
        let body = request_file("entry");
        fs::write(&body, ENTRY)?;
        Ok(Requests::post(name, path, Body::One(body), &[200]))
    }

    /// Prepares the requests for a system.
    pub fn prepare(&self, running: &RunningSystem) -> anyhow::Result<Prepared> {
        self.prepare_for_instance(running, 0)
    }

    /// Prepares the requests for one of several instances of a system.
    pub fn prepare_for_instance(
        &self,
        running: &RunningSystem,
        number: usize,
    ) -> anyhow::Result<Prepared> {
        let base = running.base();
        let target = match self.paths.as_slice() {
            [path] => Target::Url(format!("{base}{path}")),
            paths => {
                let urls = request_file(&format!("{}-{number}-{}", running.name(), self.name));
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
    /// Adds the arguments of oha to a command.
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

/// Returns the path of a file with requests for oha.
fn request_file(name: &str) -> PathBuf {
    output_directory().join(format!("{name}.requests"))
}
