//! The host is Spin: what the guest in `tests/probe` sees and causes. The expectations were taken
//! from Spin 3.6, and can be again: `E2E_ENGINE=spin cargo test -p e2e`.

mod http;
mod kinder;
mod postgres;
