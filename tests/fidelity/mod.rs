//! The local host behaves like Spin, as seen by the guest in `tests/probe` and by its clients. The
//! expectations were recorded from Spin 3.6, and from 4.0 where it differs. To run these tests
//! against an installed Spin, use `E2E_ENGINE=spin cargo test -p e2e`.

mod differences;
mod http;
mod older_interfaces;
mod postgres;
