//! PostgreSQL: connections, conversion of values, errors and the pool.

use std::thread;

use http::Method;

use crate::support::{App, cluster, is_spin_version};

fn query(app: &App, sql: &str) -> String {
    app.request(Method::POST, "/do/query", &[], sql).body
}

fn execute(app: &App, sql: &str) -> String {
    app.request(Method::POST, "/do/execute", &[], sql).body
}

fn open(app: &App, url: &str) -> String {
    app.request(Method::POST, "/do/open", &[], url).body
}

#[test]
fn values_convert_as_in_spin() {
    let app = App::probe();
    for (value, expected) in [
        ("true", "Boolean: Boolean(true)"),
        (r"'\x00ff'::bytea", "Binary: Binary([0, 255])"),
        ("1.5::float4", "Floating32: Floating32(1.5)"),
        ("'NaN'::float8", "Floating64: Floating64(NaN)"),
        ("-1::int2", "Int16: Int16(-1)"),
        ("-1::int4", "Int32: Int32(-1)"),
        ("-1::int8", "Int64: Int64(-1)"),
        ("'ä'::text", r#"Str: Str("ä")"#),
        ("'a'::varchar", r#"Str: Str("a")"#),
        ("'a'::char(3)", r#"Str: Str("a  ")"#),
        ("'2026-01-31'::date", "Date: Date((2026, 1, 31))"),
        ("'0044-03-15 BC'::date", "Date: Date((-43, 3, 15))"),
        ("'09:30:01.000005'::time", "Time: Time((9, 30, 1, 5000))"),
        ("'24:00:00'::time", "Time: Time((0, 0, 0, 0))"),
        (
            "'2026-01-31 09:30:01.000005'::timestamp",
            "Datetime: Datetime((2026, 1, 31, 9, 30, 1, 5000))",
        ),
        (
            "'00000000-0000-0000-0000-000000000001'::uuid",
            r#"Uuid: Uuid("00000000-0000-0000-0000-000000000001")"#,
        ),
        // Numbers in jsonb lose their trailing zeros.
        (r"'[1.10]'::jsonb", "Jsonb: Jsonb([91, 49, 46, 49, 93])"),
        ("1.10::numeric", r#"Decimal: Decimal("1.10")"#),
        // Digits after the 28th decimal place are lost.
        ("1e-32::numeric", r#"Decimal: Decimal("0.0000000000000000000000000000")"#),
        (
            "int4range(1, 5)",
            "RangeInt32: RangeInt32((Some((1, RangeBoundKind::Inclusive)), Some((5, RangeBoundKind::Exclusive))))",
        ),
        (
            "int8range(NULL, 5)",
            "RangeInt64: RangeInt64((None, Some((5, RangeBoundKind::Exclusive))))",
        ),
        (
            "numrange(1.5, 2.50, '(]')",
            r#"RangeDecimal: RangeDecimal((Some(("1.5", RangeBoundKind::Exclusive)), Some(("2.50", RangeBoundKind::Inclusive))))"#,
        ),
        // An empty range is indistinguishable from an unbounded one.
        ("'empty'::int4range", "RangeInt32: RangeInt32((None, None))"),
        ("ARRAY[1, NULL]", "ArrayInt32: ArrayInt32([Some(1), None])"),
        ("ARRAY[1, NULL]::int8[]", "ArrayInt64: ArrayInt64([Some(1), None])"),
        ("ARRAY[0.10, NULL]", r#"ArrayDecimal: ArrayDecimal([Some("0.10"), None])"#),
        ("ARRAY['a', NULL]", r#"ArrayStr: ArrayStr([Some("a"), None])"#),
        ("ARRAY['a']::varchar[]", r#"ArrayStr: ArrayStr([Some("a")])"#),
        ("'{}'::int4[]", "ArrayInt32: ArrayInt32([])"),
        (
            "'1 month 2 days 0.000001 s'::interval",
            "Interval: Interval(Interval { micros: 1, days: 2, months: 1 })",
        ),
        ("NULL", "Str: DbNull"),
        ("NULL::uuid", "Uuid: DbNull"),
        ("NULL::json", r#"Other("json"): DbNull"#),
    ] {
        let (kind, read) = expected.split_once(": ").expect("a type and a value");
        let expected = format!("it DbDataType::{kind}\n[DbValue::{read}]");
        assert_eq!(query(&app, &format!("SELECT {value} AS it")), expected, "{value}");
    }
}

#[test]
fn values_of_unknown_type_are_returned_as_bytes() {
    let app = App::probe();
    for (value, kind, bytes) in [
        ("'a'::name", "name", "97"),
        ("'[1.10]'::json", "json", "91, 49, 46, 49, 48, 93"),
        ("1::oid", "oid", "0, 0, 0, 1"),
        ("'1.2.3.4'::inet", "inet", "2, 32, 0, 4, 1, 2, 3, 4"),
        ("'00:00:01+00'::timetz", "timetz", "0, 0, 0, 0, 0, 15, 66, 64, 0, 0, 0, 0"),
        (
            "ARRAY[true]",
            "_bool",
            "0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1",
        ),
    ] {
        let expected = format!("it DbDataType::Other({kind:?})\n[DbValue::Unsupported([{bytes}])]");
        assert_eq!(query(&app, &format!("SELECT {value} AS it")), expected, "{value}");
    }
}

#[test]
fn values_that_spin_cannot_convert_are_errors() {
    let app = App::probe();
    for (value, reason) in [
        (
            "now()",
            "cannot convert between the Rust type `core::option::Option<chrono::naive::datetime::NaiveDateTime>` and the Postgres type `timestamptz`",
        ),
        ("'NaN'::numeric", "Error while converting to NaN"),
        ("'infinity'::timestamp", "value too large to decode"),
        ("'infinity'::date", "value too large to decode"),
        ("'{{1},{2}}'::int4[]", "array contains too many dimensions"),
    ] {
        let mut text =
            format!("error deserializing column 0: {reason}\n\nCaused by:\n    {reason}");
        if is_spin_version("4.0") {
            text = format!("Error::QueryFailed(QueryError::Text({text:?}))");
        }
        let expected = format!("query-failed QueryError::Text({text:?})");
        assert_eq!(query(&app, &format!("SELECT {value}")), expected, "{value}");
    }
}

#[test]
fn parameters_convert_as_in_spin() {
    let app = App::probe();
    let expected = r#"boolean: DbValue::Str("true")
int8: DbValue::Str("A")
int16: DbValue::Str("-2")
int32: DbValue::Str("-4")
int64: DbValue::Str("-8")
floating32: DbValue::Str("1.5")
floating64: DbValue::Str("-2.5")
str: DbValue::Str("ä")
binary: DbValue::Str("\\x00ff")
date: DbValue::Str("2026-01-31")
time: DbValue::Str("09:30:01.000005")
datetime: DbValue::Str("2026-01-31 09:30:01.000005")
timestamp: DbValue::Str("1970-01-01 00:00:01")
uuid: DbValue::Str("00000000-0000-0000-0000-000000000001")
jsonb: DbValue::Str("{\"a\": 1.1}")
decimal: DbValue::Str("12345.67")
range-int32: DbValue::Str("[1,5)")
range-int64: DbValue::Str("(,6)")
range-decimal: DbValue::Str("(1.5,2.5]")
array-int32: DbValue::Str("{1,NULL}")
array-int64: DbValue::Str("{-1,NULL}")
array-decimal: DbValue::Str("{0.10,NULL}")
array-str: DbValue::Str("{\"a,b\",NULL}")
interval: DbValue::Str("3 mons 2 days 00:00:00.000001")
db-null: DbValue::Str("null")
bad uuid: bad-parameter invalid UU
bad date: bad-parameter invalid da
bad decimal: bad-parameter invalid de
int32 for int8: query-failed QueryError:
str for uuid: query-failed QueryError:
"#;
    assert_eq!(app.get("/do/parameters").body, expected);
}

#[test]
fn result_without_rows_has_no_columns() {
    let app = App::probe();
    // Spin 4.0 never returns from such a query; this is why the services' statements always return
    // a row.
    if !is_spin_version("4.0") {
        assert_eq!(query(&app, "SELECT 1 AS it WHERE false"), "");
    }
    assert_eq!(execute(&app, "SELECT 1 WHERE false"), "Ok(0)");
}

#[test]
fn sqlstate_is_lost_only_if_a_query_fails_at_run_time() {
    let app = App::probe();
    let duplicate = "INSERT INTO katas.entry (word, definition) VALUES ('a', ''), ('a', '')";
    let queried = query(&app, duplicate);
    if is_spin_version("4.0") {
        // `crates/pg` extracts the SQLSTATE from this text.
        for part in [r#"code: \"23505\""#, r#"(\"constraint\", \"entry_word_key\")"#] {
            assert!(queried.starts_with("query-failed QueryError::Text("), "{queried}");
            assert!(queried.contains(part), "{queried}");
        }
    } else {
        assert_eq!(
            queried,
            r#"query-failed QueryError::Text("db error: ERROR: duplicate key value violates unique constraint \"entry_word_key\"\nDETAIL: Key (word)=(a) already exists.\n\nCaused by:\n    ERROR: duplicate key value violates unique constraint \"entry_word_key\"\n    DETAIL: Key (word)=(a) already exists.")"#
        );
    }
    let executed = execute(&app, duplicate);
    for part in [
        r#"QueryError::DbError(DbError { as-text: "Error { kind: Db, cause: Some(DbError {"#,
        r#", severity: "ERROR", code: "23505", message: "duplicate key"#,
        r#", detail: Some("Key (word)=(a) already exists."), extras: [("constraint", "entry_word_key"), "#,
    ] {
        assert!(executed.contains(part), "{executed}");
    }
    for (sql, code) in
        [("SELEC", "42601"), ("SELECT nope", "42703"), ("SELECT 1; SELECT 2", "42601")]
    {
        for error in [query(&app, sql), execute(&app, sql)] {
            assert!(error.contains(&format!(r#"code: "{code}""#)), "{error}");
        }
    }
    let wrong_number = r#"QueryError::Text("Error { kind: Parameters(0, 1), cause: None }")"#;
    assert_eq!(query(&app, "SELECT $1::int"), format!("query-failed {wrong_number}"));
}

#[test]
fn broken_connection_is_replaced() {
    let app = App::probe();
    let broken = query(&app, "SELECT pg_terminate_backend(pg_backend_pid())");
    assert!(broken.contains("terminating connection"), "{broken}");
    assert_eq!(query(&app, "SELECT 1 AS it"), "it DbDataType::Int32\n[DbValue::Int32(1)]");
}

#[test]
fn connection_to_disallowed_address_is_rejected() {
    let app = App::probe();
    let allowed = format!("127.0.0.1:{}", cluster().postgres.port());
    for (url, reason) in [
        ("nonsense".to_owned(), "invalid connection string: unexpected EOF"),
        ("postgres://h/x".to_owned(), "address postgres://h:5432 is not permitted"),
        ("host=h user=u".to_owned(), "address postgres://h is not permitted"),
        (format!("postgres://u:p@{allowed},h:1/x"), "address postgres://h:1 is not permitted"),
        ("postgres://u:p@%2Ftmp/x".to_owned(), "Unix sockets are not supported on WebAssembly"),
    ] {
        assert_eq!(open(&app, &url), format!("Err(Error::ConnectionFailed({reason:?}))"));
    }
}

#[test]
fn failed_connection_returns_the_cause() {
    let app = App::probe();
    let address = format!("127.0.0.1:{}", cluster().postgres.port());
    for (url, reason) in [
        (
            format!("postgres://u:p@{address}/x?sslmode=disable"),
            r#"db error: FATAL: password authentication failed for user "u""#,
        ),
        (
            format!("postgres://u:p@{address}/x?sslmode=require"),
            "error performing TLS handshake: server does not support TLS",
        ),
        (format!("postgres://u@{address}/x"), "invalid configuration: password missing"),
    ] {
        let cause = reason.split_once(": ").map_or("", |(_, cause)| cause);
        let text = format!(
            "Error occurred while creating a new object: {reason}\n\nCaused by:\n    0: {reason}\n    1: {cause}"
        );
        assert_eq!(open(&app, &url), format!("Err(Error::ConnectionFailed({text:?}))"));
    }
}

#[test]
fn reused_connection_has_default_settings() {
    let app = App::probe();
    assert_eq!(execute(&app, "SET lock_timeout = '7ms'"), "Ok(0)");
    assert!(!query(&app, "SHOW lock_timeout").contains("7ms"));
}

#[test]
fn transaction_left_open_continues_in_the_next_request() {
    let app = App::probe();
    app.get("/do/leave-open");
    assert_eq!(app.value("SELECT count(*)::text FROM katas.entry"), "0");
    app.get("/do/commit");
    assert_eq!(app.value("SELECT count(*)::text FROM katas.entry"), "1");
}

#[test]
fn failed_transaction_does_not_reach_the_next_request() {
    let app = App::probe();
    assert_eq!(app.get("/do/leave-failed").body, "true");
    assert_eq!(query(&app, "SELECT 1 AS it"), "it DbDataType::Int32\n[DbValue::Int32(1)]");
    assert_eq!(execute(&app, "COMMIT"), "Ok(0)");
}

#[test]
fn query_after_schema_change_returns_the_new_columns() {
    let app = App::probe();
    let all = "SELECT * FROM katas.shape";
    app.sql("CREATE TABLE katas.shape AS SELECT 1 AS a; GRANT SELECT ON katas.shape TO PUBLIC");
    assert_eq!(query(&app, all), "a DbDataType::Int32\n[DbValue::Int32(1)]");
    app.sql("ALTER TABLE katas.shape ADD b text DEFAULT 'b'");
    assert_eq!(
        query(&app, all),
        "a DbDataType::Int32, b DbDataType::Str\n[DbValue::Int32(1), DbValue::Str(\"b\")]"
    );
    app.sql("ALTER TABLE katas.shape DROP b, ALTER a TYPE int8");
    assert_eq!(query(&app, all), "a DbDataType::Int64\n[DbValue::Int64(1)]");
    app.sql("DROP TABLE katas.shape");
    assert!(query(&app, all).contains(r#"code: "42P01""#));
}

#[test]
fn statement_is_closed_after_use() {
    let app = App::probe();
    // Sequential requests reuse one connection.
    for number in 0..3 {
        let result = query(&app, &format!("SELECT {number} AS it"));
        assert_eq!(result, format!("it DbDataType::Int32\n[DbValue::Int32({number})]"));
    }
    // Only the counting statement itself is prepared.
    let open = "SELECT count(*) AS it FROM pg_prepared_statements";
    assert_eq!(query(&app, open), "it DbDataType::Int64\n[DbValue::Int64(1)]");
}

#[test]
fn pool_is_limited_to_64_connections() {
    let app = App::probe();
    let lock = app.hold("SELECT pg_advisory_xact_lock(1)");
    thread::scope(|scope| {
        let wait = || query(&app, "SELECT pg_advisory_xact_lock_shared(1)::text AS it");
        let waiting: Vec<_> = (0..70).map(|_| scope.spawn(wait)).collect();
        app.wait_for_value(
            "SELECT count(*)::text FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event = 'advisory'",
            "64",
        );
        drop(lock);
        for request in waiting {
            let result = request.join().expect("no panic");
            assert!(result.starts_with("it DbDataType::Str"), "{result}");
        }
    });
    let backends = "SELECT count(*)::text FROM pg_stat_activity
                    WHERE datname = current_database() AND usename = 'katas_app'";
    assert_eq!(app.value(backends), "64");
}
