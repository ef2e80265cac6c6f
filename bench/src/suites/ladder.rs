//! What each step of handling a request costs the engine: from a constant response to a handler
//! that does all that a component of the product does without a database.

use crate::bench::{Bench, Series};
use crate::requests::Requests;
use crate::results::Recorder;

/// The path of each step with its name and what it adds to the one before; `bench/floor/ladder` has
/// the code.
pub const STEPS: [(&str, &str, &str); 9] = [
    ("/hello", "hello", "a constant response"),
    ("/ladder/1/api/v1/look/abacus", "path", "method and path; another component"),
    ("/ladder/2/api/v1/look/abacus", "route", "the path split by a table of six routes"),
    ("/ladder/3/api/v1/look/abacus", "request-headers", "four request headers by name"),
    ("/ladder/4/api/v1/look/abacus", "request-body", "the request body to its end"),
    ("/ladder/5/api/v1/look/abacus", "json", "JSON parsed and serialized"),
    ("/ladder/6/api/v1/look/abacus", "response-headers", "two response headers more"),
    ("/ladder/7/api/v1/look/abacus", "log", "the clock twice, and a log line"),
    ("/ladder/8/api/v1/look/abacus", "variable", "one variable"),
];

pub async fn run(bench: &Bench) -> anyhow::Result<Recorder> {
    let floor = bench.start_floor().await?;
    let mut recorder = Recorder::default();
    let steps = STEPS.iter().map(|(path, name, _)| Requests::step(name, path));
    let steps = steps.collect::<anyhow::Result<Vec<_>>>()?;
    let one = |requests| Series { running: &floor, requests, connections: &[64] };
    let series: Vec<_> = steps.iter().map(one).collect();
    bench.warm(&floor, &steps[0], 64).await?;
    bench.saturate(&series, &mut recorder).await?;
    Ok(recorder)
}
