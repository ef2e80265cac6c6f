//! The real wasm over real HTTP against a real PostgreSQL: each test with a database of its own.

mod components;
mod database_down;
mod dictionary;
mod docs;
mod examples;
mod fidelity;
mod health;
mod hostile;
mod log;
mod privileges;
mod readme;
mod routes;
mod support;
mod tidy;
mod token;
mod wit;
