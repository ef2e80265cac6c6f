//! The real wasm over real HTTP against a real PostgreSQL: each test with a database of its own.

mod components;
mod database_down;
mod datasets;
mod dictionary;
mod docs;
mod examples;
mod fidelity;
mod health;
mod hostile;
mod k8s;
mod log;
mod nth_char;
mod price_lists;
mod privileges;
mod readme;
mod receipts;
mod routes;
mod runs;
mod spending;
mod support;
mod tidy;
mod token;
mod users;
mod wit;
mod work;
