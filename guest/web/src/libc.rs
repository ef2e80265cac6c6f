//! What stands under the standard library here, in place of wasi-libc's.
//!
//! Each function below is called by the code that prints a panic, and by nothing else in a
//! component. wasi-libc's bring with them a table of file descriptors, the terminals, the
//! environment and `printf`; its allocator is several times as large. Together they would be 30 KB in
//! every component, and seven interfaces that a service has no use for. The linker takes these and
//! leaves those out.
#![expect(unsafe_code, reason = "C's signatures")]

use std::ffi::c_char;
use std::ptr::null_mut;

use talc::wasm::{WasmDynamicTalc, new_wasm_dynamic_allocator};

use crate::wasi::bindings::wasi::cli::stderr::get_stderr;

/// All memory of a component, which the host takes back after each request.
#[global_allocator]
static ALLOCATOR: WasmDynamicTalc = new_wasm_dynamic_allocator();

/// The message of a panic goes to standard error, whatever the file.
#[unsafe(no_mangle)]
extern "C" fn write(_file: i32, bytes: *const u8, length: usize) -> isize {
    // SAFETY: the caller promises `length` bytes at `bytes`, as write(2) asks.
    let bytes = unsafe { std::slice::from_raw_parts(bytes, length.min(4096)) };
    match get_stderr().blocking_write_and_flush(bytes) {
        Ok(()) => bytes.len() as isize,
        Err(_) => -1,
    }
}

/// There is no environment: what a component is told, it is told by variables.
#[unsafe(no_mangle)]
extern "C" fn getenv(_name: *const c_char) -> *mut c_char {
    null_mut()
}

/// There is no folder to be in.
#[unsafe(no_mangle)]
extern "C" fn getcwd(_buffer: *mut c_char, _size: usize) -> *mut c_char {
    null_mut()
}
