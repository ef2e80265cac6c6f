//! The application's variables, and the components' templates that refer to them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};

use crate::manifest::Manifest;

/// The values of the application's variables, one for each that the manifest declares.
#[derive(Debug)]
pub(crate) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Resolves every variable of the manifest in Spin's order: `overrides`,
    /// `SPIN_VARIABLE_<NAME>` in the environment, the same name in the file `.env` of the working
    /// directory, and the default.
    pub(crate) fn resolve(
        manifest: &Manifest,
        overrides: &BTreeMap<String, String>,
    ) -> anyhow::Result<Variables> {
        Variables::resolve_with(manifest, overrides, environment(Path::new(".env"))?)
    }

    fn resolve_with(
        manifest: &Manifest,
        overrides: &BTreeMap<String, String>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Variables> {
        let undeclared = overrides.keys().find(|name| !manifest.variables.contains_key(*name));
        if let Some(name) = undeclared {
            bail!("the manifest declares no variable {name}");
        }
        let values = manifest.variables.iter().map(|(name, variable)| {
            validate_name(name)?;
            let key = format!("SPIN_VARIABLE_{}", name.to_uppercase());
            let value = overrides.get(name).cloned().or_else(|| environment(&key));
            let value = value.or_else(|| variable.default.clone());
            Ok((
                name.clone(),
                value.ok_or_else(|| anyhow!("variable {name} has no value; set {key}"))?,
            ))
        });
        Ok(Variables(values.collect::<anyhow::Result<_>>()?))
    }

    /// Returns an iterator over names and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter()
    }

    /// Replaces every `{{ name }}` in the template with the variable's value.
    pub(crate) fn expand(&self, template: &str) -> anyhow::Result<String> {
        let mut text = String::new();
        let mut rest = template;
        while let Some((literal, expression)) = rest.split_once("{{") {
            let (name, after) = expression
                .split_once("}}")
                .with_context(|| format!("missing }}}} in template {template:?}"))?;
            let name = name.trim();
            let value = self.0.get(name);
            let value = value.with_context(|| format!("undeclared variable {name:?}"))?;
            text += literal;
            text += value;
            rest = after;
        }
        Ok(text + rest)
    }
}

/// Returns a lookup function that searches the environment, then a file of `NAME=value` lines. The
/// file may be missing.
fn environment(dotenv: &Path) -> anyhow::Result<impl Fn(&str) -> Option<String>> {
    let file: BTreeMap<String, String> = match dotenvy::from_path_iter(dotenv) {
        // The cause would quote the line, which may contain a secret.
        Ok(lines) => lines.collect::<Result<_, _>>().ok().with_context(|| {
            format!("cannot parse {}; write lines NAME=value", dotenv.display())
        })?,
        Err(error) if error.not_found() => BTreeMap::new(),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", dotenv.display()));
        }
    };
    Ok(move |key: &str| std::env::var(key).ok().or_else(|| file.get(key).cloned()))
}

/// Checks that a name is valid in Spin: lower-case words joined by single underscores.
pub(crate) fn validate_name(name: &str) -> anyhow::Result<()> {
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let valid = name.split('_').all(word) && name.starts_with(|c: char| c.is_ascii_lowercase());
    ensure!(valid, "invalid variable name {name:?}; use lower_snake_case");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spin.toml");
        let text = r#"
            spin_manifest_version = 2
            [application]
            name = "a"
            [variables]
            url = { required = true }
            host = { default = "localhost" }
            [[trigger.http]]
            route = "/"
            static_response = {}
        "#;
        std::fs::write(&path, text).unwrap();
        Manifest::read(&path).unwrap()
    }

    fn overrides(values: &[(&str, &str)]) -> BTreeMap<String, String> {
        values.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn override_precedes_environment_and_default() {
        let environment = |key: &str| (key == "SPIN_VARIABLE_URL").then(|| "env".to_owned());
        let expand = |variables: Variables| variables.expand("{{url}}@{{ host }}!").unwrap();
        let resolve =
            |values| Variables::resolve_with(&manifest(), &overrides(values), environment).unwrap();
        assert_eq!(expand(resolve(&[])), "env@localhost!");
        assert_eq!(expand(resolve(&[("url", "override"), ("host", "h")])), "override@h!");
    }

    #[test]
    fn unresolved_and_undeclared_variables_are_errors() {
        let error = Variables::resolve_with(&manifest(), &overrides(&[]), |_| None).unwrap_err();
        assert!(error.to_string().contains("SPIN_VARIABLE_URL"));
        let undeclared = overrides(&[("url", "x"), ("ulr", "y")]);
        let error = Variables::resolve_with(&manifest(), &undeclared, |_| None).unwrap_err();
        assert!(error.to_string().contains("ulr"));
        let overrides = overrides(&[("url", "x")]);
        let variables = Variables::resolve_with(&manifest(), &overrides, |_| None).unwrap();
        assert!(variables.expand("{{ other }}").is_err());
        assert!(variables.expand("{{ url").is_err());
    }

    #[test]
    fn environment_precedes_dotenv_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        assert_eq!(environment(&path).unwrap()("SPIN_VARIABLE_URL"), None);
        std::fs::write(&path, "# a comment\nSPIN_VARIABLE_URL='from a file'\nPATH=/\n").unwrap();
        let environment = environment(&path).unwrap();
        assert_eq!(environment("SPIN_VARIABLE_URL").as_deref(), Some("from a file"));
        assert_eq!(environment("PATH"), std::env::var("PATH").ok());
    }

    #[test]
    fn malformed_dotenv_file_is_rejected_without_quoting_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        std::fs::write(&path, "a secret").unwrap();
        let error = format!("{:#}", environment(&path).err().unwrap());
        assert!(error.starts_with("cannot parse ") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn variable_name_must_be_lower_snake_case() {
        for valid in ["a", "a_b2", "a1"] {
            validate_name(valid).expect(valid);
        }
        for invalid in ["", "A", "1a", "_a", "a_", "a__b", "a-b"] {
            assert!(validate_name(invalid).is_err(), "{invalid}");
        }
    }
}
