//! The PostgreSQL interfaces before `spin:postgres@4.0.0`, as other applications use them. Version
//! 2.0.0 is at `/pg/`, 3.0.0 at `/pg3/`; see `tests/older-interfaces`.

use http::Method;

use crate::support::{App, cluster};

fn send(app: &App, operation: &str, body: &str) -> String {
    app.request(Method::POST, operation, &[], body).body
}

#[test]
fn value_of_unknown_type_is_unsupported() {
    let Some(app) = App::older_interfaces() else { return };
    for (value, version_2, version_3) in [
        ("true", "Boolean Boolean(true)", "Boolean Boolean(true)"),
        (r"'\x00ff'::bytea", "Binary Binary([0, 255])", "Binary Binary([0, 255])"),
        ("1.5::float4", "Floating32 Floating32(1.5)", "Floating32 Floating32(1.5)"),
        ("1.5::float8", "Floating64 Floating64(1.5)", "Floating64 Floating64(1.5)"),
        ("-1::int2", "Int16 Int16(-1)", "Int16 Int16(-1)"),
        ("-1::int4", "Int32 Int32(-1)", "Int32 Int32(-1)"),
        ("-1::int8", "Int64 Int64(-1)", "Int64 Int64(-1)"),
        ("'ä'::varchar", r#"Str Str("ä")"#, r#"Str Str("ä")"#),
        ("NULL", "Str DbNull", "Str DbNull"),
        ("'2026-01-31'::date", "Other Unsupported", "Date Date((2026, 1, 31))"),
        ("'09:30:01.5'::time", "Other Unsupported", "Time Time((9, 30, 1, 500000000))"),
        (
            "'2026-01-31 09:30'::timestamp",
            "Other Unsupported",
            "Datetime Datetime((2026, 1, 31, 9, 30, 0, 0))",
        ),
        ("gen_random_uuid()", "Other Unsupported", "Other Unsupported"),
        ("'[]'::jsonb", "Other Unsupported", "Other Unsupported"),
        ("1.10::numeric", "Other Unsupported", "Other Unsupported"),
        ("int4range(1, 5)", "Other Unsupported", "Other Unsupported"),
        ("int8range(1, 5)", "Other Unsupported", "Other Unsupported"),
        ("numrange(1, 5)", "Other Unsupported", "Other Unsupported"),
        ("ARRAY[1]", "Other Unsupported", "Other Unsupported"),
        ("ARRAY[1::int8]", "Other Unsupported", "Other Unsupported"),
        ("ARRAY[1.5]", "Other Unsupported", "Other Unsupported"),
        ("ARRAY['a']", "Other Unsupported", "Other Unsupported"),
        ("'1 day'::interval", "Other Unsupported", "Other Unsupported"),
        ("'[]'::json", "Other Unsupported", "Other Unsupported"),
        ("NULL::uuid", "Other DbNull", "Other DbNull"),
    ] {
        for (operation, expected) in [("/pg/query", version_2), ("/pg3/query", version_3)] {
            let (kind, read) = expected.split_once(' ').expect("a type and a value");
            let expected = format!("it DbDataType::{kind}\n[DbValue::{read}]");
            let result = send(&app, operation, &format!("SELECT {value} AS it"));
            assert_eq!(result, expected, "{operation}: {value}");
        }
    }
}

#[test]
fn parameters_convert_as_in_spin() {
    let Some(app) = App::older_interfaces() else { return };
    let common = r#"bool: Ok([[DbValue::Str("true")]])
"char": Ok([[DbValue::Str("A")]])
int2: Ok([[DbValue::Str("-2")]])
int4: Ok([[DbValue::Str("-4")]])
int8: Ok([[DbValue::Str("-8")]])
float4: Ok([[DbValue::Str("1.5")]])
float8: Ok([[DbValue::Str("-2.5")]])
text: Ok([[DbValue::Str("ä")]])
bytea: Ok([[DbValue::Str("\\x00ff")]])
uuid: Ok([[DbValue::Str("null")]])
"#;
    let unsigned =
        r#"Err(Error::ValueConversionFailed("Postgres does not support unsigned integers"))"#;
    let unsigned = ["int4", "int4", "int4", "int8"].map(|kind| format!("{kind}: {unsigned}\n"));
    assert_eq!(send(&app, "/pg/parameters", ""), format!("{common}{}", unsigned.concat()));
    let more = r#"date: Ok([[DbValue::Str("2026-01-31")]])
time: Ok([[DbValue::Str("09:30:01.000005")]])
timestamp: Ok([[DbValue::Str("2026-01-31 09:30:01.000005")]])
timestamptz AT TIME ZONE 'UTC': Ok([[DbValue::Str("1970-01-01 00:00:01")]])
date: Err(Error::BadParameter("invalid date y=2026, m=2, d=30"))
"#;
    assert_eq!(send(&app, "/pg3/parameters", ""), format!("{common}{more}"));
}

#[test]
fn errors_are_text() {
    let Some(app) = App::older_interfaces() else { return };
    for version in ["/pg", "/pg3"] {
        for operation in ["query", "execute"] {
            let error = send(&app, &format!("{version}/{operation}"), "SELECT nope");
            assert!(error.contains(r#"Error::QueryFailed("Error { kind: Db, cause: "#), "{error}");
            assert!(error.contains("code: SqlState(E42703), "), "{error}");
        }
        // PostgreSQL detects this one while the query runs.
        let error =
            send(&app, &format!("{version}/query"), "SELECT 1 / n FROM generate_series(0, 0) AS n");
        let reason = "ERROR: division by zero";
        let text = format!("db error: {reason}\n\nCaused by:\n    {reason}");
        assert_eq!(error, format!("Error::QueryFailed({text:?})"));
        let rejected = send(&app, &format!("{version}/open"), "postgres://h/x");
        let reason = "address postgres://h:5432 is not permitted";
        assert_eq!(rejected, format!("Err(Error::ConnectionFailed({reason:?}))"));
        let port = cluster().postgres.port();
        let unknown = format!("postgres://u:p@127.0.0.1:{port}/x?sslmode=disable");
        let failed = send(&app, &format!("{version}/open"), &unknown);
        assert!(failed.starts_with("Err(Error::ConnectionFailed(\"Error occurred"), "{failed}");
    }
}

#[test]
fn execute_counts_the_changed_rows() {
    let Some(app) = App::older_interfaces() else { return };
    for (word, version) in [("a", "/pg"), ("b", "/pg3")] {
        let insert = format!("INSERT INTO katas.entry (word, definition) VALUES ('{word}', '')");
        assert_eq!(send(&app, &format!("{version}/execute"), &insert), "Ok(1)");
    }
    assert_eq!(app.value("SELECT count(*)::text FROM katas.entry"), "2");
}

#[test]
fn versions_share_one_pool() {
    let Some(app) = App::older_interfaces() else { return };
    let backends = ["/pg/query", "/pg3/query", "/pg/query"]
        .map(|operation| send(&app, operation, "SELECT pg_backend_pid() AS it"));
    assert!(backends[0].starts_with("it DbDataType::Int32\n"), "{backends:?}");
    assert!(backends.iter().all(|backend| *backend == backends[0]), "{backends:?}");
}
