//! The applications that are measured.

use std::path::PathBuf;

use crate::paths::root;

/// The application that a system serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Application {
    /// The product, or a peer's version of it.
    Product,
    /// `bench/floor`: what an engine charges any component.
    Floor,
}

impl Application {
    /// The manifest of its components.
    pub fn manifest(self) -> PathBuf {
        root().join(match self {
            Application::Product => "spin.toml",
            Application::Floor => "bench/floor/spin.toml",
        })
    }

    /// A path that answers as soon as the application serves.
    pub fn probe(self) -> &'static str {
        match self {
            Application::Product => "/health",
            Application::Floor => "/hello",
        }
    }
}

#[cfg(test)]
mod tests {
    use katas_host::manifest::Manifest;

    use super::*;

    #[test]
    fn floor_declares_the_variables_of_the_product() {
        let names = |application: Application| {
            let manifest = Manifest::read(&application.manifest()).unwrap();
            manifest.variables.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(names(Application::Floor), names(Application::Product));
    }
}
