//! The application's variables and the components' templates over them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};

use crate::manifest::Manifest;

/// The values of the application's variables, one for each that the manifest declares.
#[derive(Debug)]
pub(crate) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Resolves every variable of the manifest in Spin's order: the given value,
    /// `SPIN_VARIABLE_<NAME>` in the environment, the same in the file `.env` of the working
    /// directory, the default.
    pub(crate) fn resolve(
        manifest: &Manifest,
        given: &BTreeMap<String, String>,
    ) -> anyhow::Result<Variables> {
        Variables::resolve_with(manifest, given, environment(Path::new(".env"))?)
    }

    fn resolve_with(
        manifest: &Manifest,
        given: &BTreeMap<String, String>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Variables> {
        if let Some(unknown) = given.keys().find(|name| !manifest.variables.contains_key(*name)) {
            bail!("the manifest has no variable {unknown}");
        }
        let values = manifest.variables.iter().map(|(name, variable)| {
            check_name(name)?;
            let key = format!("SPIN_VARIABLE_{}", name.to_uppercase());
            let value = given.get(name).cloned().or_else(|| environment(&key));
            let value = value.or_else(|| variable.default.clone());
            Ok((
                name.clone(),
                value.ok_or_else(|| anyhow!("the variable {name} is required; set {key}"))?,
            ))
        });
        Ok(Variables(values.collect::<anyhow::Result<_>>()?))
    }

    /// Returns the names and their values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter()
    }

    /// The text with every `{{ name }}` replaced.
    pub(crate) fn expand(&self, template: &str) -> anyhow::Result<String> {
        let mut text = String::new();
        let mut rest = template;
        while let Some((literal, expression)) = rest.split_once("{{") {
            let (name, after) = expression
                .split_once("}}")
                .with_context(|| format!("a {{{{ without its }}}} in {template:?}"))?;
            let name = name.trim();
            let value = self.0.get(name).with_context(|| format!("no variable {name:?}"))?;
            text += literal;
            text += value;
            rest = after;
        }
        Ok(text + rest)
    }
}

/// Returns a lookup in the environment and then in a file of `NAME=value` lines, which need not exist.
fn environment(dotenv: &Path) -> anyhow::Result<impl Fn(&str) -> Option<String>> {
    let file: BTreeMap<String, String> = match dotenvy::from_path_iter(dotenv) {
        // The cause would quote the line, which may contain a secret.
        Ok(lines) => lines
            .collect::<Result<_, _>>()
            .ok()
            .with_context(|| format!("cannot parse {}; use lines NAME=value", dotenv.display()))?,
        Err(error) if error.not_found() => BTreeMap::new(),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", dotenv.display()));
        }
    };
    Ok(move |key: &str| std::env::var(key).ok().or_else(|| file.get(key).cloned()))
}

/// Spin's rule: lower-case words joined by single underscores.
pub(crate) fn check_name(name: &str) -> anyhow::Result<()> {
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let valid = name.split('_').all(word) && name.starts_with(|c: char| c.is_ascii_lowercase());
    ensure!(valid, "{name:?} is not a variable's name: use lower_snake_case");
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

    fn given(values: &[(&str, &str)]) -> BTreeMap<String, String> {
        values.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn given_goes_before_environment_before_default() {
        let environment = |key: &str| (key == "SPIN_VARIABLE_URL").then(|| "env".to_owned());
        let expand = |variables: Variables| variables.expand("{{url}}@{{ host }}!").unwrap();
        let resolve =
            |values| Variables::resolve_with(&manifest(), &given(values), environment).unwrap();
        assert_eq!(expand(resolve(&[])), "env@localhost!");
        assert_eq!(expand(resolve(&[("url", "given"), ("host", "h")])), "given@h!");
    }

    #[test]
    fn what_cannot_be_resolved_is_named() {
        let refused = Variables::resolve_with(&manifest(), &given(&[]), |_| None).unwrap_err();
        assert!(refused.to_string().contains("SPIN_VARIABLE_URL"));
        let unknown = given(&[("url", "x"), ("ulr", "y")]);
        let refused = Variables::resolve_with(&manifest(), &unknown, |_| None).unwrap_err();
        assert!(refused.to_string().contains("ulr"));
        let given = given(&[("url", "x")]);
        let variables = Variables::resolve_with(&manifest(), &given, |_| None).unwrap();
        assert!(variables.expand("{{ other }}").is_err());
        assert!(variables.expand("{{ url").is_err());
    }

    #[test]
    fn dotenv_file_supplies_what_the_environment_lacks() {
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
    fn names_are_lower_snake_case() {
        for good in ["a", "a_b2", "a1"] {
            check_name(good).expect(good);
        }
        for bad in ["", "A", "1a", "_a", "a_", "a__b", "a-b"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
