//! Generates components, and the facts that files repeat from the manifest and the migrations.
//!
//! [`new`] writes a component from the templates in `templates/`. [`facts`] updates numbers, tables
//! and rules in documents and manifests that follow from `spin.toml` and `db/migrations`. Nothing
//! depends on this crate after it has run: the result is ordinary source code.

mod component;
pub mod facts;
mod insert;
mod new;
mod workspace;

pub use component::{Component, Field};
pub use new::new;
pub use workspace::Workspace;
