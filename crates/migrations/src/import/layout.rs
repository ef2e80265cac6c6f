//! Reads the folder of a tool, by its file names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sqlx::migrate::MigrationType;

use super::script::Draft;
use super::{Converted, sections};
use crate::Error;
use crate::project::{Tool, detect, entries, file_name, is_ignored, listed, parse_name, read_text};

/// Reads the files of a tool. If `tool` is `None`, it is detected from the files.
pub(super) fn read(folder: &Path, tool: Option<Tool>) -> Result<(Tool, Vec<Converted>), Error> {
    let paths = entries(folder)?;
    let tool = match tool {
        Some(tool) => tool,
        None => detect(folder, &paths)?,
    };
    let mut layout = Layout { tool, parts: BTreeMap::new(), others: Vec::new() };
    for path in paths.iter().filter(|path| !is_ignored(&file_name(path))) {
        match (tool, path.is_dir()) {
            (Tool::Diesel, true) => layout.add_folder(path)?,
            (Tool::Diesel, false) => layout.others.push(file_name(path)),
            (_, true) => layout.reject_scripts(path)?,
            (_, false) => layout.add_file(path)?,
        }
    }
    let Layout { parts, others, .. } = layout;
    if !others.is_empty() {
        return Err(Error::Usage(format!(
            "not migrations of {tool} in {}: {}; convert them by hand, or move them out of the \
             folder",
            folder.display(),
            listed(&others)
        )));
    }
    if parts.is_empty() {
        let folder = folder.display();
        return Err(Error::Usage(format!("there are no migrations of {tool} in {folder}")));
    }
    let converted = parts.into_iter().map(|(number, parts)| parts.convert(&number));
    Ok((tool, converted.collect::<Result<_, _>>()?))
}

/// The files found so far.
struct Layout {
    tool: Tool,
    /// Keyed by the digits of the version.
    parts: BTreeMap<String, Parts>,
    /// The names of entries that are not migrations.
    others: Vec<String>,
}

/// The files of one migration.
#[derive(Default)]
struct Parts {
    description: String,
    sources: Vec<String>,
    up: Option<Draft>,
    down: Option<Draft>,
}

impl Parts {
    fn convert(self, number: &str) -> Result<Converted, Error> {
        let Parts { description, sources, up, down } = self;
        let source = &sources[0];
        let version = number.parse().map_err(|_| {
            let limit = i64::MAX;
            Error::Usage(format!("{source}: the version is not a number up to {limit}"))
        })?;
        let up = up.ok_or_else(|| Error::Usage(format!("{source} has no up migration")))?;
        let stem = format!("{number}_{description}");
        Ok(Converted { version, stem, sources, up, down })
    }
}

/// Settings of diesel for one migration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    run_in_transaction: Option<bool>,
}

impl Layout {
    fn add_file(&mut self, path: &Path) -> Result<(), Error> {
        let (tool, name) = (self.tool, file_name(path));
        let source = path.display().to_string();
        if name.ends_with(".go") || name.ends_with(".rs") || name.ends_with(".java") {
            return Err(Error::Usage(format!("{source}: a program cannot be converted to SQL")));
        }
        match tool {
            Tool::Goose | Tool::Dbmate | Tool::SqlMigrate => {
                let Some((number, description)) = numbered(&name) else {
                    self.others.push(name);
                    return Ok(());
                };
                let (up, down) = sections::split(tool, &source, &read_text(path)?)?;
                self.add(number, description, &name, up, false)?;
                self.parts.entry(number.to_owned()).or_default().down = down;
            }
            Tool::GolangMigrate => match parse_name(&name)? {
                Some((
                    _,
                    _,
                    kind @ (MigrationType::ReversibleUp | MigrationType::ReversibleDown),
                )) => {
                    let (number, rest) = name.split_once('_').unwrap_or_default();
                    let description = rest.trim_end_matches(kind.suffix());
                    let draft = Draft::whole(&source, &read_text(path)?);
                    self.add(number, description, &name, draft, kind.is_down_migration())?;
                }
                _ => self.others.push(name),
            },
            Tool::Atlas => match numbered(&name) {
                Some((number, description)) => {
                    let draft = atlas(&source, &read_text(path)?)?;
                    self.add(number, description, &name, draft, false)?;
                }
                None => self.others.push(name),
            },
            Tool::Flyway | Tool::Refinery => self.add_versioned(path, &name)?,
            Tool::Diesel => unreachable!("the migrations of diesel are folders"),
        }
        Ok(())
    }

    /// Adds `V1__name.sql`. For Flyway, `U1__name.sql` reverts it, and `V1__name.sql.conf` contains
    /// settings. For refinery, `U` is like `V`, except that it may be out of order.
    fn add_versioned(&mut self, path: &Path, name: &str) -> Result<(), Error> {
        let source = path.display().to_string();
        if self.tool == Tool::Flyway && name.ends_with(".sql.conf") {
            // Read together with the script.
            return Ok(());
        }
        let (kind, rest) = name.split_at_checked(1).unwrap_or_default();
        let Some((number, description)) =
            rest.strip_suffix(".sql").and_then(|rest| rest.split_once("__"))
        else {
            self.others.push(name.to_owned());
            return Ok(());
        };
        let problem = match kind {
            "V" | "U" if number.bytes().all(|byte| byte.is_ascii_digit()) => None,
            "V" | "U" => Some("the version is not a whole number, and versions are kept"),
            "R" => Some("a repeatable migration has no counterpart; repeat its SQL in a new one"),
            "B" => Some("a baseline migration has no counterpart; see `migrate baseline`"),
            _ => Some("not a versioned migration"),
        };
        if let Some(problem) = problem {
            return Err(Error::Usage(format!("{source}: {problem}")));
        }
        let sql = read_text(path)?;
        let mut draft = Draft::whole(&source, &sql);
        if self.tool == Tool::Flyway {
            if let Some(at) = sql.find("${") {
                let line = 1 + sql[..at].matches('\n').count();
                return Err(Error::Usage(format!(
                    "{source}:{line}: Flyway replaces `${{...}}`; write the value instead"
                )));
            }
            let settings = path.with_file_name(format!("{name}.conf"));
            if settings.is_file() {
                draft.no_transaction = runs_outside_transaction(&settings)?;
            }
        }
        let is_down = self.tool == Tool::Flyway && kind == "U";
        self.add(number, description, name, draft, is_down)
    }

    /// Adds the folder of a migration of diesel.
    fn add_folder(&mut self, path: &Path) -> Result<(), Error> {
        let name = file_name(path);
        let (version, description) = name.split_once('_').unwrap_or((&name, ""));
        let number = version.replace('-', "");
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            let path = path.display();
            return Err(Error::Usage(format!("{path}: the version `{version}` is not a number")));
        }
        let mut no_transaction = false;
        for file in entries(path)? {
            let (source, file_name) = (file.display().to_string(), file_name(&file));
            match file_name.as_str() {
                "up.sql" | "down.sql" => {
                    let draft = Draft::whole(&source, &read_text(&file)?);
                    let is_down = file_name == "down.sql";
                    let source = format!("{name}/{file_name}");
                    self.add(&number, description, &source, draft, is_down)?;
                }
                "metadata.toml" => {
                    let metadata: Metadata = toml::from_str(&read_text(&file)?)
                        .map_err(|error| Error::Usage(format!("{source}: {error}")))?;
                    no_transaction = metadata.run_in_transaction == Some(false);
                }
                other if is_ignored(other) => {}
                other => self.others.push(format!("{name}/{other}")),
            }
        }
        let Some(parts) = self.parts.get_mut(&number) else {
            return Err(Error::Usage(format!("{} has no up.sql", path.display())));
        };
        for draft in [&mut parts.up, &mut parts.down].into_iter().flatten() {
            draft.no_transaction |= no_transaction;
        }
        Ok(())
    }

    /// Rejects a folder with SQL files. Flyway reads subfolders, most other tools do not.
    fn reject_scripts(&mut self, path: &Path) -> Result<(), Error> {
        let is_script = |path: &PathBuf| file_name(path).to_ascii_lowercase().ends_with(".sql");
        if entries(path)?.iter().any(is_script) {
            self.others.push(format!("{}/", file_name(path)));
        }
        Ok(())
    }

    /// Adds a script. The up and the down script of a version may have different descriptions.
    fn add(
        &mut self,
        number: &str,
        description: &str,
        source: &str,
        draft: Draft,
        is_down: bool,
    ) -> Result<(), Error> {
        let parts = self.parts.entry(number.to_owned()).or_default();
        let slot = if is_down { &mut parts.down } else { &mut parts.up };
        if slot.is_some() {
            return Err(Error::Usage(format!(
                "{} and {source} have the same version; renumber one of them",
                parts.sources.join(", ")
            )));
        }
        *slot = Some(draft);
        if !is_down || parts.description.is_empty() {
            parts.description = description.split_whitespace().collect::<Vec<_>>().join("_");
        }
        if parts.description.is_empty() {
            "migration".clone_into(&mut parts.description);
        }
        parts.sources.push(source.to_owned());
        Ok(())
    }
}

/// Parses `1_name.sql`, `1-name.sql` and `1.sql` into the digits and the name.
fn numbered(name: &str) -> Option<(&str, &str)> {
    let stem = name.strip_suffix(".sql")?;
    let digits = stem.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = stem.split_at(digits);
    let is_directed = [".up", ".down"].iter().any(|direction| rest.ends_with(direction));
    (digits > 0 && !is_directed).then(|| (number, rest.trim_start_matches(['_', '-', '.'])))
}

/// Reads a file of Atlas, without its directives.
fn atlas(source: &str, sql: &str) -> Result<Draft, Error> {
    let mut draft = Draft::new(source);
    for (index, line) in sql.lines().enumerate() {
        let directive = line.strip_prefix("--").and_then(|rest| rest.trim().strip_prefix("atlas:"));
        match directive.map(|text| text.split_whitespace().collect::<Vec<_>>()).as_deref() {
            None | Some(["nolint", ..]) => draft.push(index + 1, line),
            Some(["txmode", "none"]) => draft.no_transaction = true,
            Some(["txmode", "file" | "all"]) => {}
            Some(_) => {
                return Err(Error::Usage(format!(
                    "{source}:{}: `{}` has no counterpart; convert this file by hand",
                    index + 1,
                    line.trim()
                )));
            }
        }
    }
    Ok(draft)
}

/// Reads the settings of Flyway for one script.
fn runs_outside_transaction(path: &Path) -> Result<bool, Error> {
    let mut outside = false;
    for (index, line) in read_text(path)?.lines().enumerate() {
        let pair = line.split_once('=').map(|(key, value)| (key.trim(), value.trim()));
        match pair {
            Some(("executeInTransaction", "true")) => {}
            Some(("executeInTransaction", "false")) => outside = true,
            None if line.trim().is_empty() || line.starts_with('#') => {}
            _ => {
                return Err(Error::Usage(format!(
                    "{}:{}: `{}` has no counterpart; only executeInTransaction is converted",
                    path.display(),
                    index + 1,
                    line.trim()
                )));
            }
        }
    }
    Ok(outside)
}
