//! The host is Spin: what the guest in `tests/probe` sees and causes. The expectations were taken
//! from Spin 3.6, and from 4.0 where it differs. `E2E_ENGINE=spin cargo test -p e2e` compares.

mod http;
mod kinder;
mod postgres;
