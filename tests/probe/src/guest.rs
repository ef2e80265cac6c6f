//! The guest, written against the generated bindings without an SDK.

use std::fmt::Write as _;
use std::io::Write as _;

#[expect(unsafe_code, reason = "generated from wit/world.wit")]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "service", generate_all });
    export!(Probe with_types_in self);
    use super::Probe;
}

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::fermyon::spin::variables;
use bindings::spin::postgres4_0_0::postgres::{
    Connection, Error, Interval, ParameterValue as P, RangeBoundKind,
};
use bindings::wasi::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam, Scheme,
};

struct Probe;

impl Guest for Probe {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        match path.strip_prefix("/do/").unwrap_or("headers") {
            "headers" => respond(out, &headers(&request)),
            "trap" => panic!("requested trap"),
            "no-response" => drop(out),
            "late-trap" => late_trap(out),
            "head-first" => head_first(out),
            "compute" => compute(out, query.parse().expect("a number")),
            "print" => print(out),
            "environment" => respond(out, &format!("{:?}", std::env::vars().collect::<Vec<_>>())),
            "variable" => respond(out, &format!("{:?}", variables::get(query))),
            "open" => respond(out, &format!("{:?}", Connection::open(&body(&request)).map(drop))),
            "two" => {
                let (_a, _b) = (connect(), connect());
                respond(out, "opened");
            }
            "two-in-turn" => {
                drop(connect());
                drop(connect());
                respond(out, "opened");
            }
            "leave-open" => {
                let connection = connect();
                run(&connection, "BEGIN");
                run(&connection, "INSERT INTO katas.entry (word, definition) VALUES ('left', '')");
                respond(out, "left open");
            }
            "leave-failed" => {
                let connection = connect();
                run(&connection, "BEGIN");
                let result = connection.execute("SELECT nope", &[]);
                respond(out, &format!("{}", result.is_err()));
            }
            "commit" => {
                run(&connect(), "COMMIT");
                respond(out, "committed");
            }
            "query" => respond(out, &query_result(&connect(), &body(&request))),
            "execute" => respond(out, &format!("{:?}", connect().execute(&body(&request), &[]))),
            "parameters" => respond(out, &parameters(&connect())),
            other => respond(out, &format!("unknown path /do/{other}")),
        }
    }
}

fn connect() -> Connection {
    let url = variables::get("database_url").expect("the variable is set");
    Connection::open(&url).expect("the database accepts the connection")
}

fn run(connection: &Connection, sql: &str) {
    connection.execute(sql, &[]).expect(sql);
}

fn body(request: &IncomingRequest) -> String {
    let body = request.consume().expect("the body is taken once");
    let stream = body.stream().expect("the stream is taken once");
    let mut bytes = Vec::new();
    while let Ok(chunk) = stream.blocking_read(1 << 16) {
        bytes.extend_from_slice(&chunk);
    }
    drop(stream);
    String::from_utf8(bytes).expect("UTF-8")
}

fn headers(request: &IncomingRequest) -> String {
    let scheme = match request.scheme() {
        Some(Scheme::Http) => "http",
        Some(_) => "another scheme",
        None => "no scheme",
    };
    let authority = request.authority().unwrap_or_default();
    let mut text = format!("{scheme} {authority}\n");
    for (name, value) in request.headers().entries() {
        let _ = writeln!(text, "{name}: {}", String::from_utf8_lossy(&value));
    }
    text
}

fn query_result(connection: &Connection, sql: &str) -> String {
    match connection.query(sql, &[]) {
        Ok(set) => {
            let columns = set.columns.iter();
            let columns = columns.map(|column| format!("{} {:?}", column.name, column.data_type));
            let columns = columns.collect::<Vec<_>>().join(", ");
            set.rows.iter().fold(columns, |text, row| text + &format!("\n{row:?}"))
        }
        Err(error) => error_text(&error),
    }
}

fn error_text(error: &Error) -> String {
    match error {
        Error::ConnectionFailed(text) => format!("connection-failed {text}"),
        Error::BadParameter(text) => format!("bad-parameter {text}"),
        Error::QueryFailed(error) => format!("query-failed {error:?}"),
        Error::ValueConversionFailed(text) => format!("value-conversion-failed {text}"),
        Error::Other(text) => format!("other {text}"),
    }
}

/// Sends a parameter of every type and returns the text to which PostgreSQL converts each.
fn parameters(connection: &Connection) -> String {
    let (from, to) = ((1, RangeBoundKind::Inclusive), (5, RangeBoundKind::Exclusive));
    let decimal = |text: &str, kind| Some((text.to_owned(), kind));
    let attempts = [
        ("boolean", "$1::bool", P::Boolean(true)),
        ("int8", "$1::\"char\"", P::Int8(65)),
        ("int16", "$1::int2", P::Int16(-2)),
        ("int32", "$1::int4", P::Int32(-4)),
        ("int64", "$1::int8", P::Int64(-8)),
        ("floating32", "$1::float4", P::Floating32(1.5)),
        ("floating64", "$1::float8", P::Floating64(-2.5)),
        ("str", "$1::text", P::Str("ä".to_owned())),
        ("binary", "$1::bytea", P::Binary(vec![0, 255])),
        ("date", "$1::date", P::Date((2026, 1, 31))),
        ("time", "$1::time", P::Time((9, 30, 1, 5000))),
        ("datetime", "$1::timestamp", P::Datetime((2026, 1, 31, 9, 30, 1, 5000))),
        ("timestamp", "$1::timestamptz AT TIME ZONE 'UTC'", P::Timestamp(1)),
        ("uuid", "$1::uuid", P::Uuid("00000000-0000-0000-0000-000000000001".to_owned())),
        ("jsonb", "$1::jsonb", P::Jsonb(b"{\"a\":1.10}".to_vec())),
        ("decimal", "$1::numeric", P::Decimal("12345.67".to_owned())),
        ("range-int32", "$1::int4range", P::RangeInt32((Some(from), Some(to)))),
        (
            "range-int64",
            "$1::int8range",
            P::RangeInt64((None, Some((5, RangeBoundKind::Inclusive)))),
        ),
        (
            "range-decimal",
            "$1::numrange",
            P::RangeDecimal((
                decimal("1.5", RangeBoundKind::Exclusive),
                decimal("2.5", RangeBoundKind::Inclusive),
            )),
        ),
        ("array-int32", "$1::int4[]", P::ArrayInt32(vec![Some(1), None])),
        ("array-int64", "$1::int8[]", P::ArrayInt64(vec![Some(-1), None])),
        ("array-decimal", "$1::numeric[]", P::ArrayDecimal(vec![Some("0.10".to_owned()), None])),
        ("array-str", "$1::text[]", P::ArrayStr(vec![Some("a,b".to_owned()), None])),
        ("interval", "$1::interval", P::Interval(Interval { micros: 1, days: 2, months: 3 })),
        ("db-null", "$1::uuid", P::DbNull),
        ("bad uuid", "$1::uuid", P::Uuid("x".to_owned())),
        ("bad date", "$1::date", P::Date((2026, 2, 30))),
        ("bad decimal", "$1::numeric", P::Decimal("x".to_owned())),
        ("int32 for int8", "$1::int8", P::Int32(1)),
        ("str for uuid", "$1::uuid", P::Str("x".to_owned())),
    ];
    let mut text = String::new();
    for (name, expression, value) in attempts {
        let sql = format!("SELECT coalesce(({expression})::text, 'null') AS it");
        let result = match connection.query(&sql, &[value]) {
            Ok(set) => format!("{:?}", set.rows[0][0]),
            // The rest of the message depends on the version of the driver.
            Err(error) => error_text(&error).chars().take(24).collect(),
        };
        let _ = writeln!(text, "{name}: {result}");
    }
    text
}

fn respond(out: ResponseOutparam, text: &str) {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().expect("the body is taken once");
    let stream = body.write().expect("the stream is taken once");
    stream.blocking_write_and_flush(text.as_bytes()).expect("up to 4096 bytes need no reader");
    drop(stream);
    OutgoingBody::finish(body, None).expect("finished once");
    ResponseOutparam::set(out, Ok(response));
}

fn head_first(out: ResponseOutparam) {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().expect("the body is taken once");
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("the stream is taken once");
    stream.blocking_write_and_flush(b"after the head").expect("the client reads");
    drop(stream);
    OutgoingBody::finish(body, None).expect("finished once");
}

fn late_trap(out: ResponseOutparam) {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().expect("the body is taken once");
    let stream = body.write().expect("the stream is taken once");
    ResponseOutparam::set(out, Ok(response));
    stream.blocking_write_and_flush(b"half of the answ").expect("the client reads");
    panic!("too late");
}

/// Computes for the given number of milliseconds. Its only host calls read the clock.
fn compute(out: ResponseOutparam, milliseconds: u128) {
    println!("computing");
    let start = std::time::Instant::now();
    let mut number: u64 = 1;
    while start.elapsed().as_millis() < milliseconds {
        for _ in 0..100_000_000_u64 {
            number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005) + 1);
        }
    }
    respond(out, &number.to_string());
}

fn print(out: ResponseOutparam) {
    let mut stdout = std::io::stdout();
    let _ = stdout.write_all(b"one line\nhalf a ");
    let _ = stdout.flush();
    let _ = stdout.write_all(b"line\n");
    let _ = stdout.flush();
    eprintln!("to standard error");
    respond(out, "printed");
}
