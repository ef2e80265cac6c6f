//! `scaffold`: adds a component to this repository. `katas new` builds and runs it.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use scaffold::{Component, Workspace};

const EXAMPLES: &str = "\
Types of fields:
  text:MIN..MAX  text with 0 or 1 to MAX characters
  bool           true or false; the list can be filtered by it
  int, int:MIN..MAX
  decimal        an exact number of up to 28 digits, not negative, as text: \"12.50\"
  decimal:MIN..MAX
                 with as many decimal places as MIN and MAX: price:decimal:0.00..999.99
  date           a date such as 2026-01-31
  timestamp      a time in RFC 3339 format, such as 2026-01-31T09:30:00Z
  A field that ends in ? is optional. bool and int can have a default: pinned:bool=false

Examples:
  katas new notes --field title:text:1..200 --field pinned:bool=false --field 'due_on:date?'
  katas new tags --id slug --field slug:text:1..100 --field label:text:1..50
  katas new bookings --id bigint --field starts_at:timestamp --field price:decimal:0.00..999.99
  katas new totals --without-database --field amount:int:0..1000";

/// Add a component to this repository
#[derive(Parser)]
#[command(bin_name = "katas new", after_help = EXAMPLES)]
struct Cli {
    /// Name of the component, and of its path below /api/v1: a plural in lower case
    name: String,

    /// A field of a resource: NAME:TYPE[?][=DEFAULT]. Repeat the option for each field
    #[arg(long = "field", value_name = "FIELD", required = true)]
    fields: Vec<String>,

    /// How a resource gets its id: uuid, bigint, or the name of a text field that the client chooses
    #[arg(long, value_name = "ID", default_value = "uuid", conflicts_with = "without_database")]
    id: String,

    /// Create a component that computes its response and stores nothing
    #[arg(long)]
    without_database: bool,

    /// Name of one resource and of the table [default: the singular of the name]
    #[arg(long, value_name = "NAME")]
    item: Option<String>,

    /// Description of the component [default: the name and the fields]
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // An error means that standard error is closed.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Cli) -> anyhow::Result<()> {
    let id = (!arguments.without_database).then_some(arguments.id.as_str());
    let fields = arguments.fields.iter().map(|field| field.parse()).collect::<Result<_, _>>()?;
    let (item, description) = (arguments.item.as_deref(), arguments.description.as_deref());
    let component = Component::new(&arguments.name, item, description, id, fields)?;
    let directory = std::env::current_dir().context("cannot read the working directory")?;
    let mut workspace = Workspace::find(&directory)?;
    scaffold::new(&mut workspace, &component)?;
    let changed: Vec<_> = workspace.changed().into_iter().map(str::to_owned).collect();
    workspace.write()?;
    let mut stdout = std::io::stdout().lock();
    for path in changed {
        writeln!(stdout, "{path}")?;
    }
    let ident = component.ident;
    writeln!(
        stdout,
        "\nNext: cargo run -- up\n      cargo test --workspace --test e2e -- {ident}\n      \
         docs/ADDING-A-COMPONENT.md describes the files"
    )?;
    Ok(())
}
