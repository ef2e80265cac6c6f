//! The application manifest `spin.toml`, version 2, as far as this host implements it.
//!
//! An unimplemented key is an error: an application that depends on it would behave differently
//! under Spin.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;

/// An application manifest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    #[serde(rename = "spin_manifest_version")]
    _spin_manifest_version: u32,
    /// `[application]`
    pub application: Application,
    /// `[variables]`: the application's variables by name.
    #[serde(default)]
    pub variables: BTreeMap<String, Variable>,
    /// `[[trigger.http]]`
    pub trigger: Triggers,
    /// `[component.<id>]`: the components by id.
    #[serde(default)]
    pub component: BTreeMap<String, Component>,
    /// The directory of the manifest. Paths in the manifest are relative to it.
    #[serde(skip)]
    pub root: PathBuf,
}

/// `[application]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// The application's name.
    pub name: String,
    /// The application's version, or an empty string.
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
    /// The default value. `None` for a required variable.
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

/// A route with its component or static response.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpTrigger {
    #[serde(default, rename = "id")]
    _id: String,
    /// The route.
    pub route: Route,
    /// The id of the component.
    pub component: Option<String>,
    /// The response, for a route without a component.
    pub static_response: Option<StaticResponse>,
    executor: Option<Executor>,
}

/// The route of a trigger.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "invalid route: expected a pattern such as \"/...\" or { private = true }"
)]
pub enum Route {
    /// A pattern: `"/exact"`, `"/prefix/..."` or `"/with/:parameter"`.
    Pattern(String),
    /// `{ private = true }`: no public route. Calls from other components are not implemented.
    Private {
        /// Always `true`.
        private: bool,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Executor {
    r#type: String,
}

/// The response of a route without a component.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticResponse {
    /// The status code; the default is 200.
    pub status_code: Option<u16>,
    /// The response headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body; the default is empty.
    pub body: Option<String>,
}

impl StaticResponse {
    fn check(&self) -> anyhow::Result<()> {
        if let Some(status) = self.status_code {
            StatusCode::from_u16(status)
                .ok()
                .with_context(|| format!("invalid status_code {status}"))?;
        }
        for (name, value) in &self.headers {
            let valid = HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok();
            ensure!(valid, "invalid header {name:?}");
        }
        Ok(())
    }
}

/// `[component.<id>]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    source: String,
    #[serde(default, rename = "description")]
    _description: String,
    /// The component's variables, as templates that refer to the application's.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// The component's environment variables.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// The addresses it may connect to, as templates of the form `scheme://host:port`.
    #[serde(default)]
    pub allowed_outbound_hosts: Vec<String>,
    /// The build commands.
    pub build: Option<Build>,
    #[serde(default)]
    tool: Tool,
}

/// `[component.<id>.build]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    command: Commands,
    /// The working directory of the commands, relative to the manifest.
    pub workdir: Option<String>,
    #[serde(default, rename = "watch")]
    _watch: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "invalid command: expected a string or an array of strings")]
enum Commands {
    Single(String),
    List(Vec<String>),
}

impl Build {
    /// Returns the commands in execution order.
    pub fn commands(&self) -> &[String] {
        match &self.command {
            Commands::Single(command) => std::slice::from_ref(command),
            Commands::List(commands) => commands,
        }
    }
}

/// `[component.<id>.tool]`, which Spin ignores. Tables of other tools are accepted unchecked.
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

/// An example request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// The request method.
    pub method: String,
    /// Path and query. `$name` stands for an id stored by an earlier example.
    pub path: String,
    /// The JSON body.
    pub body: Option<String>,
    /// The expected status code when all examples run in order.
    pub status: u16,
    /// The name under which later examples refer to the `id` in the response.
    pub keep: Option<String>,
}

impl Example {
    /// Returns the request as a `curl` command line.
    pub fn curl(&self, base: &str) -> String {
        let method = match self.method.as_str() {
            "GET" => String::new(),
            method => format!(" -X {method}"),
        };
        let body = match &self.body {
            Some(body) => format!(" -H 'Content-Type: application/json' -d {}", quote(body)),
            None => String::new(),
        };
        let url = quote_url(&format!("{base}{}", self.path));
        let command = format!("curl -s{method} {url}{body}");
        match &self.keep {
            Some(name) => {
                let id = r#"sed 's/.*"id":"\{0,1\}\([^",}]*\).*/\1/'"#;
                format!("{name}=$({command} | {id}); echo ${name}")
            }
            None => command,
        }
    }
}

/// Quotes a URL for a shell if necessary, so that `$name` is still expanded.
fn quote_url(url: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:%$".contains(c);
    match url.chars().all(plain) {
        true => url.to_owned(),
        false if url.contains('$') => format!("\"{url}\""),
        false => quote(url),
    }
}

/// Quotes text for a shell, without expansion.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

impl Component {
    /// Returns the path of the wasm file, relative to the manifest.
    pub fn source(&self) -> &Path {
        Path::new(&self.source)
    }

    /// Returns the example requests.
    pub fn examples(&self) -> &[Example] {
        &self.tool.katas.examples
    }
}

impl Manifest {
    /// Returns whether the application declares a variable for the address of the database, which
    /// the host then provides.
    pub fn uses_database(&self) -> bool {
        ["database_url", "database_host"].iter().any(|name| self.variables.contains_key(*name))
    }

    /// Reads a manifest and checks that this host can run it as Spin would.
    pub fn read(path: &Path) -> anyhow::Result<Manifest> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let root = path.parent().unwrap_or(Path::new(".")).to_owned();
        Manifest::parse(&text, root)
            .with_context(|| format!("invalid or unsupported manifest {}", path.display()))
    }

    fn parse(text: &str, root: PathBuf) -> anyhow::Result<Manifest> {
        check_version(text)?;
        let manifest = toml::from_str(text).map_err(|error| one_line(text, &error))?;
        let manifest = Manifest { root, ..manifest };
        for (name, variable) in &manifest.variables {
            ensure!(
                variable.required != variable.default.is_some(),
                "variable {name} needs either a default or required = true"
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
                ensure!(*private, "a route must be a pattern or {{ private = true }}");
                "(private)"
            }
        };
        match (&trigger.component, &trigger.static_response) {
            (Some(id), None) => ensure!(
                self.component.contains_key(id),
                "route {route} refers to unknown component {id}"
            ),
            (None, Some(response)) => {
                response.check().with_context(|| format!("static_response of route {route}"))?;
            }
            _ => bail!("route {route} needs either a component or a static_response"),
        }
        if let Some(executor) = &trigger.executor {
            let kind = &executor.r#type;
            ensure!(kind == "http", "route {route} has unsupported executor {kind}");
        }
        Ok(())
    }
}

/// Checks the manifest version. This precedes all other checks because some keys have other types
/// in version 1.
fn check_version(text: &str) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Version {
        #[serde(alias = "spin_version")]
        spin_manifest_version: Option<toml::Spanned<toml::Value>>,
    }

    // Syntax errors are reported by the caller.
    let Ok(Version { spin_manifest_version: version }) = toml::from_str(text) else {
        return Ok(());
    };
    let version = version.context("missing spin_manifest_version; expected 2")?;
    ensure!(
        version.get_ref().as_integer() == Some(2),
        "line {}: spin_manifest_version {} is not supported; expected 2 (`spin new` creates such a \
         manifest)",
        line(text, version.span().start),
        version.get_ref()
    );
    Ok(())
}

/// Returns the error on one line, without the excerpt that toml prints.
fn one_line(text: &str, error: &toml::de::Error) -> anyhow::Error {
    let message = error.message().trim_end().replace('\n', "; ");
    match error.span() {
        Some(span) => anyhow!("line {}: {message}", line(text, span.start)),
        None => anyhow!("{message}"),
    }
}

/// Returns the 1-based line of a byte offset.
fn line(text: &str, offset: usize) -> usize {
    let before = text.bytes().take(offset);
    1 + before.filter(|&byte| byte == b'\n').count()
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

    fn parse_error(text: &str) -> String {
        format!("{:#}", Manifest::parse(text, PathBuf::new()).unwrap_err())
    }

    #[test]
    fn unimplemented_key_is_rejected() {
        Manifest::parse(MINIMAL, PathBuf::new()).expect("the minimal manifest is valid");
        for (key, table) in [
            ("targets = []", "[application]"),
            ("key_value_stores = [\"default\"]", "[component.c]"),
            ("files = [\"*.html\"]", "[component.c]"),
        ] {
            let text = MINIMAL.replace(table, &format!("{table}\n{key}"));
            let name = key.split(' ').next().unwrap();
            assert!(parse_error(&text).contains(&format!("unknown field `{name}`")), "{key}");
        }
    }

    #[test]
    fn invalid_manifest_is_reported_on_one_line_with_its_line_number() {
        for (from, to, expected) in [
            ("= 2", "= \"1\"", "line 2: spin_manifest_version \"1\" is not supported; expected 2"),
            ("= 2", "= 1", "line 2: spin_manifest_version 1 is not supported; expected 2"),
            ("spin_manifest_version = 2", "", "missing spin_manifest_version; expected 2"),
            (
                "spin_manifest_version = 2",
                "spin_version = \"1\"\n[[component]]\nid = \"a\"",
                "line 2: spin_manifest_version \"1\" is not supported",
            ),
            ("name = \"a\"", "name = 1", "line 4: invalid type: integer `1`, expected a string"),
            ("\"/...\"", "5", "line 6: invalid route: expected a pattern"),
            ("\"c.wasm\"", "{ url = \"x\" }", "line 9: invalid type: map, expected a string"),
            ("\"c.wasm\"", "\"c.wasm\"\nbuild = { command = 1 }", "line 10: invalid command: "),
            ("[application]", "[application", "line 3: "),
        ] {
            let error = parse_error(&MINIMAL.replacen(from, to, 1));
            assert!(error.contains(expected), "{to}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn route_without_valid_target_is_rejected() {
        let unknown = MINIMAL.replace("component = \"c\"", "component = \"d\"");
        assert!(parse_error(&unknown).contains("unknown component d"));
        let both = MINIMAL.replace("component = \"c\"", "component = \"c\"\nstatic_response = {}");
        assert!(parse_error(&both).contains("either a component or a static_response"));
        for (response, expected) in [
            ("{ status_code = 99 }", "static_response of route /...: invalid status_code 99"),
            ("{ headers = { \"a b\" = \"c\" } }", "invalid header \"a b\""),
            ("{ headers = { a = \"\\n\" } }", "invalid header \"a\""),
        ] {
            let response = format!("static_response = {response}");
            let error = parse_error(&MINIMAL.replacen("component = \"c\"", &response, 1));
            assert!(error.contains(expected), "{error}");
        }
        let wagi = MINIMAL.replace("\"/...\"", "\"/...\"\nexecutor = { type = \"wagi\" }");
        assert!(parse_error(&wagi).contains("unsupported executor wagi"));
    }

    #[test]
    fn variable_must_be_required_or_have_a_default() {
        for variable in ["{}", "{ required = true, default = \"x\" }"] {
            let text = format!("{MINIMAL}\n[variables]\nx = {variable}");
            assert!(parse_error(&text).contains("variable x"), "{variable}");
        }
    }

    #[test]
    fn example_is_printed_as_curl_command() {
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
        let stored = Example { keep: Some("a".into()), ..example("POST", "/as", None) };
        let line = r#"a=$(curl -s -X POST http://h/as | sed 's/.*"id":"\{0,1\}\([^",}]*\).*/\1/'); echo $a"#;
        assert_eq!(stored.curl("http://h"), line);
        assert_eq!(example("GET", "/as/$a", None).curl("http://h"), "curl -s http://h/as/$a");
        let query = example("GET", "/as/$a?b=1", None);
        assert_eq!(query.curl("http://h"), r#"curl -s "http://h/as/$a?b=1""#);
    }
}
