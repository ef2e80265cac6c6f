//! The cost of each step of handling a request, from a constant response to a handler that does
//! everything that a component of the product does without the database.

use crate::bench::{Bench, Series};
use crate::requests::Requests;
use crate::results::Recorder;

/// The path and name of each step, and what it adds to the previous step; the code is in
/// `bench/floor/ladder`.
pub const STEPS: [(&str, &str, &str); 9] = [
    ("/hello", "hello", "constant response"),
    ("/ladder/1/api/v1/look/abacus", "path", "method and path; a larger component"),
    ("/ladder/2/api/v1/look/abacus", "route", "matching the path against six routes"),
    ("/ladder/3/api/v1/look/abacus", "request-headers", "reading four request headers"),
    ("/ladder/4/api/v1/look/abacus", "request-body", "reading the request body"),
    ("/ladder/5/api/v1/look/abacus", "json", "parsing and serializing JSON"),
    ("/ladder/6/api/v1/look/abacus", "response-headers", "two more response headers"),
    ("/ladder/7/api/v1/look/abacus", "log", "reading the clock twice, writing a log line"),
    ("/ladder/8/api/v1/look/abacus", "variable", "reading one variable"),
];

pub async fn run(bench: &Bench) -> anyhow::Result<Recorder> {
    let floor = bench.start_floor().await?;
    let mut recorder = Recorder::default();
    let steps = STEPS.iter().map(|(path, name, _)| Requests::ladder_step(name, path));
    let steps = steps.collect::<anyhow::Result<Vec<_>>>()?;
    let one = |requests| Series { running: &floor, requests, connections: &[64] };
    let series: Vec<_> = steps.iter().map(one).collect();
    bench.warm_up(&floor, &steps[0], 64).await?;
    bench.saturate(&series, &mut recorder).await?;
    Ok(recorder)
}
