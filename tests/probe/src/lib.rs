//! A guest that exercises the host's interfaces and misbehaves on request. Each path under `/do/`
//! triggers one behavior.

#[cfg(target_arch = "wasm32")]
mod guest;
