//! Log lines of requests as a person reads them in a terminal.

use std::io::{IsTerminal, Write};

use serde::Deserialize;

/// The members of a request's log line that are shown.
#[derive(Deserialize)]
struct LogLine<'a> {
    component: &'a str,
    method: &'a str,
    route: Option<&'a str>,
    status: u16,
    ms: f64,
    error: Option<String>,
}

/// Prints a line of the log to standard error: to a terminal in short form, and in color unless
/// `NO_COLOR` is set; elsewhere unchanged, as JSON.
pub(super) fn print(line: &str) {
    let mut stderr = std::io::stderr();
    let short = match stderr.is_terminal() {
        true => shorten(line, std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())),
        false => None,
    };
    // An error means that standard error is closed.
    let _ = writeln!(stderr, "{}", short.as_deref().unwrap_or(line));
}

/// Returns the short form of a request's log line, `None` for other lines.
fn shorten(line: &str, color: bool) -> Option<String> {
    let LogLine { component, method, route, status, ms, error } =
        serde_json::from_str(line).ok()?;
    let (start, end) = match status {
        _ if !color => ("", ""),
        500.. => ("\x1b[31m", "\x1b[0m"), // red
        400.. => ("\x1b[33m", "\x1b[0m"), // yellow
        _ => ("\x1b[32m", "\x1b[0m"),     // green
    };
    let route = route.unwrap_or("(no route)");
    let error = error.map(|error| format!(": {error}")).unwrap_or_default();
    Some(format!("{start}{status}{end} {method} {route} {ms:.1} ms ({component}){error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        r#"{"component":"users","method":"GET","route":"/users/{id}","status":200,"ms":1.874}"#;

    #[test]
    fn request_is_shortened() {
        assert_eq!(shorten(LINE, false).unwrap(), "200 GET /users/{id} 1.9 ms (users)");
        let colored = shorten(LINE, true).unwrap();
        assert_eq!(colored, "\x1b[32m200\x1b[0m GET /users/{id} 1.9 ms (users)");
        let failed = r#"{"component":"users","method":"GET","route":null,"status":500,"ms":2,"error":"\"x\" failed"}"#;
        let expected = "500 GET (no route) 2.0 ms (users): \"x\" failed";
        assert_eq!(shorten(failed, false).unwrap(), expected);
    }

    #[test]
    fn other_lines_are_not_shortened() {
        for line in ["", "spin: started", "{}", r#"{"component":"users"}"#] {
            assert_eq!(shorten(line, true), None, "{line}");
        }
    }
}
