//! `smoke`: the smoke test by itself, small enough for the image of `migrate`.

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
