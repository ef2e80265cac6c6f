//! The application's variables and the components' templates over them.

use std::collections::BTreeMap;

use anyhow::{Context, anyhow, bail, ensure};

use crate::manifest::Manifest;

/// The values of the application's variables.
#[derive(Debug)]
pub(crate) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// In Spin's order: what is given here, `SPIN_VARIABLE_<NAME>`, the manifest's default.
    pub(crate) fn resolve(
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
            |values| Variables::resolve(&manifest(), &given(values), environment).unwrap();
        assert_eq!(expand(resolve(&[])), "env@localhost!");
        assert_eq!(expand(resolve(&[("url", "given"), ("host", "h")])), "given@h!");
    }

    #[test]
    fn what_cannot_be_resolved_is_named() {
        let refused = Variables::resolve(&manifest(), &given(&[]), |_| None).unwrap_err();
        assert!(refused.to_string().contains("SPIN_VARIABLE_URL"));
        let unknown = given(&[("url", "x"), ("ulr", "y")]);
        let refused = Variables::resolve(&manifest(), &unknown, |_| None).unwrap_err();
        assert!(refused.to_string().contains("ulr"));
        let variables = Variables::resolve(&manifest(), &given(&[("url", "x")]), |_| None).unwrap();
        assert!(variables.expand("{{ other }}").is_err());
        assert!(variables.expand("{{ url").is_err());
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
