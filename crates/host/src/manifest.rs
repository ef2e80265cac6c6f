//! `spin.toml`: the part of Spin's manifest (version 2) that this host implements.
//!
//! A key that is not implemented is an error rather than ignored: an application that depends on it
//! would behave differently here than under Spin.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

/// A whole manifest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    spin_manifest_version: u32,
    /// `[application]`
    pub application: Application,
    /// `[variables]`, by name.
    #[serde(default)]
    pub variables: BTreeMap<String, Variable>,
    /// `[[trigger.http]]`
    pub trigger: Triggers,
    /// `[component.<id>]`, by id.
    #[serde(default)]
    pub component: BTreeMap<String, Component>,
    /// The folder that the manifest is in: paths in it are relative to here.
    #[serde(skip)]
    pub root: PathBuf,
}

/// `[application]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// The application's name.
    pub name: String,
    /// Its version, empty when not given.
    #[serde(default)]
    pub version: String,
    #[serde(default, rename = "description")]
    _description: String,
    #[serde(default, rename = "authors")]
    _authors: Vec<String>,
    #[serde(default, rename = "tool")]
    _tool: toml::Table,
}

/// A variable of the application.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// The value when nothing else gives one.
    pub default: Option<String>,
    #[serde(default)]
    required: bool,
    #[serde(default, rename = "secret")]
    _secret: bool,
    #[serde(default, rename = "description")]
    _description: String,
}

/// `[trigger]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Triggers {
    /// `[[trigger.http]]`
    pub http: Vec<HttpTrigger>,
}

/// A route and what answers it: a component or a fixed response.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpTrigger {
    #[serde(default, rename = "id")]
    _id: String,
    /// The pattern.
    pub route: Route,
    /// The component's id.
    pub component: Option<String>,
    /// What is answered without a component.
    pub static_response: Option<StaticResponse>,
    executor: Option<Executor>,
}

/// A route pattern, or none at all.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Route {
    /// `"/exact"`, `"/prefix/..."`, `"/with/:parameter"`
    Pattern(String),
    /// `{ private = true }`: only reachable from other components, which is not implemented here.
    Private {
        /// Always true.
        private: bool,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Executor {
    r#type: String,
}

/// What a route answers without a component.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticResponse {
    /// The status, 200 when not given.
    pub status_code: Option<u16>,
    /// The headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body, empty when not given.
    pub body: Option<String>,
}

/// A component: where its wasm is and what it may reach.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    source: String,
    #[serde(default, rename = "description")]
    _description: String,
    /// Its variables: templates over those of the application.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// Its environment.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// `scheme://host:port` of what it may connect to: templates too.
    #[serde(default)]
    pub allowed_outbound_hosts: Vec<String>,
    /// How it is built.
    pub build: Option<Build>,
    #[serde(default)]
    tool: Tool,
}

/// `[component.<id>.build]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    command: Commands,
    /// Where the commands run, relative to the manifest.
    pub workdir: Option<String>,
    #[serde(default, rename = "watch")]
    _watch: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Commands {
    One(String),
    Several(Vec<String>),
}

impl Build {
    /// The commands, in order.
    pub fn commands(&self) -> &[String] {
        match &self.command {
            Commands::One(command) => std::slice::from_ref(command),
            Commands::Several(commands) => commands,
        }
    }
}

/// `[component.<id>.tool]`, which Spin ignores: other tools' tables are not ours to check.
#[derive(Debug, Default, Deserialize)]
struct Tool {
    #[serde(default)]
    katas: Katas,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Katas {
    #[serde(default)]
    examples: Vec<Example>,
}

/// A call to try.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// The method.
    pub method: String,
    /// Path and query. `$name` stands for an id that another call has kept.
    pub path: String,
    /// A JSON body.
    pub body: Option<String>,
    /// The status it is answered with when all examples are called in their order.
    pub status: u16,
    /// The name under which the `id` in the answer is kept for other calls.
    pub keep: Option<String>,
}

impl Example {
    /// The call as a line for a shell.
    pub fn curl(&self, base: &str) -> String {
        let method = match self.method.as_str() {
            "GET" => String::new(),
            method => format!(" -X {method}"),
        };
        let body = match &self.body {
            Some(body) => format!(" -H 'Content-Type: application/json' -d {}", quoted(body)),
            None => String::new(),
        };
        let call = format!("curl -s{method} {}{body}", expanded(&format!("{base}{}", self.path)));
        match &self.keep {
            Some(name) => {
                format!(r#"{name}=$({call} | sed 's/.*"id":"\([^"]*\)".*/\1/'); echo ${name}"#)
            }
            None => call,
        }
    }
}

/// One word for a shell, in which `$name` stands for a value.
fn expanded(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:%$".contains(c);
    match text.chars().all(plain) {
        true => text.to_owned(),
        false if text.contains('$') => format!("\"{text}\""),
        false => quoted(text),
    }
}

/// One word for a shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

impl Component {
    /// Its wasm, relative to the manifest.
    pub fn source(&self) -> &Path {
        Path::new(&self.source)
    }

    /// Calls to try.
    pub fn examples(&self) -> &[Example] {
        &self.tool.katas.examples
    }
}

impl Manifest {
    /// Reads a manifest and checks that this host can run it as Spin would.
    pub fn read(path: &Path) -> anyhow::Result<Manifest> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        let root = path.parent().unwrap_or(Path::new(".")).to_owned();
        Manifest::parse(&text, root)
            .with_context(|| format!("{} is not one this host can run", path.display()))
    }

    fn parse(text: &str, root: PathBuf) -> anyhow::Result<Manifest> {
        let manifest = Manifest { root, ..toml::from_str(text)? };
        ensure!(manifest.spin_manifest_version == 2, "spin_manifest_version must be 2");
        for (name, variable) in &manifest.variables {
            ensure!(
                variable.required != variable.default.is_some(),
                "the variable {name} needs either a default or required = true"
            );
        }
        for trigger in &manifest.trigger.http {
            manifest.check(trigger)?;
        }
        Ok(manifest)
    }

    fn check(&self, trigger: &HttpTrigger) -> anyhow::Result<()> {
        let route = match &trigger.route {
            Route::Pattern(pattern) => pattern.as_str(),
            Route::Private { private } => {
                ensure!(*private, "a route is a pattern or {{ private = true }}");
                "(private)"
            }
        };
        match (&trigger.component, &trigger.static_response) {
            (Some(id), None) => ensure!(
                self.component.contains_key(id),
                "the route {route} names the component {id}, which is not there"
            ),
            (None, Some(_)) => {}
            _ => bail!("the route {route} needs either a component or a static_response"),
        }
        if let Some(executor) = &trigger.executor {
            let kind = &executor.r#type;
            ensure!(
                kind == "http",
                "the route {route} has an executor, {kind}, that is not run here"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = r#"
        spin_manifest_version = 2
        [application]
        name = "a"
        [[trigger.http]]
        route = "/..."
        component = "c"
        [component.c]
        source = "c.wasm"
    "#;

    fn refusal(text: &str) -> String {
        format!("{:#}", Manifest::parse(text, PathBuf::new()).unwrap_err())
    }

    #[test]
    fn a_key_that_is_not_implemented_is_an_error() {
        Manifest::parse(MINIMAL, PathBuf::new()).expect("the minimal manifest is fine");
        for (key, table) in [
            ("targets = []", "[application]"),
            ("key_value_stores = [\"default\"]", "[component.c]"),
            ("files = [\"*.html\"]", "[component.c]"),
        ] {
            let text = MINIMAL.replace(table, &format!("{table}\n{key}"));
            let name = key.split(' ').next().unwrap();
            assert!(refusal(&text).contains(&format!("unknown field `{name}`")), "{key}");
        }
    }

    #[test]
    fn a_route_leads_somewhere() {
        let nowhere = MINIMAL.replace("component = \"c\"", "component = \"d\"");
        assert!(refusal(&nowhere).contains("component d, which is not there"));
        let both = MINIMAL.replace("component = \"c\"", "component = \"c\"\nstatic_response = {}");
        assert!(refusal(&both).contains("either a component or a static_response"));
        let wagi = MINIMAL.replace("\"/...\"", "\"/...\"\nexecutor = { type = \"wagi\" }");
        assert!(refusal(&wagi).contains("not run here"));
    }

    #[test]
    fn a_variable_has_a_default_or_is_required() {
        for bad in ["{}", "{ required = true, default = \"x\" }"] {
            let text = format!("{MINIMAL}\n[variables]\nx = {bad}");
            assert!(refusal(&text).contains("variable x"), "{bad}");
        }
    }

    #[test]
    fn an_example_is_a_line_for_a_shell() {
        let example = |method: &str, path: &str, body: Option<&str>| Example {
            method: method.into(),
            path: path.into(),
            body: body.map(str::to_owned),
            status: 200,
            keep: None,
        };
        assert_eq!(example("GET", "/a%20b", None).curl("http://h:1"), "curl -s http://h:1/a%20b");
        let line = r#"curl -s -X PUT 'http://h/a?b=c&d' -H 'Content-Type: application/json' -d '{"a":"it'\''s"}'"#;
        let put = example("PUT", "/a?b=c&d", Some(r#"{"a":"it's"}"#));
        assert_eq!(put.curl("http://h"), line);
        let kept = Example { keep: Some("a".into()), ..example("POST", "/as", None) };
        let line =
            r#"a=$(curl -s -X POST http://h/as | sed 's/.*"id":"\([^"]*\)".*/\1/'); echo $a"#;
        assert_eq!(kept.curl("http://h"), line);
        assert_eq!(example("GET", "/as/$a", None).curl("http://h"), "curl -s http://h/as/$a");
        let query = example("GET", "/as/$a?b=1", None);
        assert_eq!(query.curl("http://h"), r#"curl -s "http://h/as/$a?b=1""#);
    }
}
