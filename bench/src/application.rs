//! The applications that the benchmark measures.

use std::path::PathBuf;

use crate::paths::root;

/// The application that a system serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Application {
    /// The product, or its counterpart in a peer.
    Product,
    /// `bench/floor`: the minimum cost of a component on an engine.
    Floor,
}

impl Application {
    /// Returns the path of the Spin manifest.
    pub fn manifest(self) -> PathBuf {
        root().join(match self {
            Application::Product => "spin.toml",
            Application::Floor => "bench/floor/spin.toml",
        })
    }

    /// Returns a path that responds as soon as the application serves.
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
