//! Rejects settings that sqlx's parser of database URLs would silently ignore.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use sqlx::postgres::PgSslMode;

/// The supported parameters of a database URL: those that sqlx reads, and `connect_timeout`.
const PARAMETERS: [&str; 13] = [
    "application_name",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

/// Other names of these parameters, and parameters of sqlx alone.
const ALIASES: [&str; 6] =
    ["ssl-ca", "ssl-cert", "ssl-key", "ssl-mode", "ssl-root-cert", "statement-cache-capacity"];

/// Rejects parameters that sqlx would ignore. Returns the URL without `connect_timeout`, and its
/// value, if it is set and not 0.
///
/// Messages never contain a value, which may be a password.
pub(super) fn check(url: &str) -> Result<(String, Option<Duration>), String> {
    let (url, fragment) = match url.split_once('#') {
        Some((url, _)) => (url, true),
        None => (url, false),
    };
    if fragment {
        return Err("invalid database URL: `#` begins a fragment; write %23 instead".to_owned());
    }
    let Some((base, query)) = url.split_once('?') else { return Ok((url.to_owned(), None)) };
    let (mut rest, mut timeout) = (Vec::new(), None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = percent_decode_str(name).decode_utf8_lossy();
        if name == "connect_timeout" {
            let seconds: u64 = value.parse().map_err(|_| {
                "invalid database URL: connect_timeout is not a number of seconds".to_owned()
            })?;
            timeout = (seconds > 0).then(|| Duration::from_secs(seconds));
            continue;
        }
        // Such as options[search_path]=public.
        let is_setting = name.starts_with("options[") && name.ends_with(']');
        if !is_setting && !PARAMETERS.iter().chain(&ALIASES).any(|known| *known == name) {
            return Err(format!(
                "unsupported parameter in the database URL: {name}; remove it; supported are {}",
                PARAMETERS.join(", ")
            ));
        }
        rest.push(pair);
    }
    let separator = if rest.is_empty() { "" } else { "?" };
    Ok((format!("{base}{separator}{}", rest.join("&")), timeout))
}

/// Rejects environment variables of libpq that request a safer connection and that sqlx would
/// ignore.
pub(super) fn check_environment(variable: impl Fn(&str) -> Option<String>) -> Result<(), String> {
    if let Some(mode) = variable("PGSSLMODE")
        && mode.parse::<PgSslMode>().is_err()
    {
        let modes = "disable, allow, prefer, require, verify-ca or verify-full";
        return Err(format!("invalid PGSSLMODE `{mode}`; expected {modes}"));
    }
    match variable("PGCHANNELBINDING").as_deref() {
        Some("require") => Err("PGCHANNELBINDING=require is not supported; unset it".to_owned()),
        _ => Ok(()),
    }
}

/// Returns whether a server's command-line options set `search_path`.
pub(super) fn sets_search_path(options: &str) -> bool {
    options.split_whitespace().any(|word| {
        let setting = word.trim_start_matches("--").trim_start_matches("-c");
        setting.replace('-', "_").starts_with("search_path=")
    })
}

/// Rejects a search path that is not a list of schemas, or that contains a system schema:
/// it would be searched after the others, whose objects could then replace those of `pg_catalog`.
pub(super) fn check_search_path(path: &str) -> Result<(), String> {
    let invalid = |problem: &str| {
        format!("invalid search path `{path}`: {problem}; expected schemas, such as app, public")
    };
    for schema in path.split(',').map(str::trim) {
        let name = match schema.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(name) => name,
            None if schema.contains(|next: char| next.is_ascii_uppercase()) => {
                return Err(invalid("a name with upper-case letters must be quoted"));
            }
            None => schema,
        };
        let is_name = |next: char| next.is_alphanumeric() || "_$".contains(next);
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(invalid("not a list of names"));
        }
        if name.starts_with("pg_") {
            return Err(invalid(&format!("{name} belongs to PostgreSQL")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsupported_parameter_is_named_without_its_value() {
        for (query, name) in [
            ("channel_binding=require-secret", "channel_binding"),
            ("sslmode=require&foo=secret", "foo"),
            ("target_session_attrs=read-write", "target_session_attrs"),
            ("ssl%4Dode=require", "sslMode"),
            ("keepalives", "keepalives"),
            ("sslnegotiation=direct", "sslnegotiation"),
        ] {
            let error = check(&format!("postgres://u:secret@h/d?{query}")).unwrap_err();
            assert!(error.contains(&format!("URL: {name}; remove it")), "{error}");
            assert!(error.contains("sslmode, sslrootcert") && !error.contains("secret"), "{error}");
        }
        assert!(check("postgres://u:a#b@h/d").unwrap_err().contains("%23"));
    }

    #[test]
    fn supported_parameters_are_kept() {
        for url in [
            "postgres://u@h/d",
            "postgres://u@h/d?sslmode=verify-full&sslrootcert=/a/ca.crt&application_name=x",
            "postgres:///d?host=/run/postgresql&port=5433&user=u",
            "postgres://u@h/d?options=-c%20geqo%3Doff",
            "postgres://u@h/d?options%5Bsearch_path%5D=app",
        ] {
            assert_eq!(check(url), Ok((url.to_owned(), None)));
        }
    }

    #[test]
    fn connect_timeout_is_a_number_of_seconds() {
        let url = |value| check(&format!("postgres://h/d?connect_timeout={value}&sslmode=disable"));
        let rest = "postgres://h/d?sslmode=disable".to_owned();
        assert_eq!(url("3"), Ok((rest.clone(), Some(Duration::from_secs(3)))));
        assert_eq!(url("0"), Ok((rest, None)));
        assert!(url("x").unwrap_err().contains("not a number of seconds"));
    }

    #[test]
    fn environment_variable_that_sqlx_would_ignore_is_rejected() {
        let check = |name, value: &str| {
            let value = value.to_owned();
            check_environment(move |asked| (asked == name).then(|| value.clone()))
        };
        assert_eq!(check("PGSSLMODE", "verify-full"), Ok(()));
        assert_eq!(check("PGCHANNELBINDING", "prefer"), Ok(()));
        assert!(check("PGSSLMODE", "verify_full").unwrap_err().contains("`verify_full`"));
        assert!(check("PGCHANNELBINDING", "require").unwrap_err().contains("unset it"));
    }

    #[test]
    fn search_path_in_options_is_detected() {
        for options in ["-c search_path=a", "-csearch_path=a", "-c a=b --search-path=c"] {
            assert!(sets_search_path(options), "{options}");
        }
        for options in ["-c geqo=off", "-c app.search_path=a", "search_path"] {
            assert!(!sets_search_path(options), "{options}");
        }
    }

    #[test]
    fn search_path_is_a_list_of_schemas() {
        for path in ["public", "app, public", "\"$user\", public", "\"App\""] {
            assert_eq!(check_search_path(path), Ok(()), "{path}");
        }
        for path in ["", "a,", "a b", "App", "\"a\"b\"", "public, pg_catalog", "pg_temp", "a;b"] {
            assert!(check_search_path(path).is_err(), "{path}");
        }
    }
}
