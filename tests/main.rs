//! The real wasm over real HTTP against a real PostgreSQL: each test with a database of its own.

mod dictionary;
mod support;
