//! Contains no code. See Cargo.toml.
