//! A guest that does what no component should, to see what the host makes of it: each path under
//! `/do/` is one such thing.

#[cfg(target_arch = "wasm32")]
mod guest;
