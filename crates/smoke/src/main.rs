//! `smoke`: the smoke test as a separate binary, small enough for the `migrate` image.

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "smoke", version)]
struct Cli {
    #[command(flatten)]
    arguments: smoke::Arguments,
}

fn main() -> ExitCode {
    smoke::main(Cli::parse().arguments)
}
