//! What stands under the standard library here, in place of wasi-libc's.
//!
//! Each function below is called by the code that prints a panic, and by nothing else in a
//! component. wasi-libc's bring with them a table of file descriptors, the terminals, the
//! environment and `printf`; its allocator is several times as large. Together they would be 30 KB in
//! every component, and seven interfaces that a service has no use for. The linker takes these and
//! leaves those out.
#![expect(unsafe_code, reason = "C's signatures")]

use std::alloc::Layout;
use std::arch::wasm32::{memory_grow, memory_size};
use std::ffi::c_char;
use std::ptr::{NonNull, null_mut};

use talc::base::Talc;
use talc::base::binning::Binning;
use talc::cell::TalcSyncCell;
use talc::source::Source;
use talc::wasm::WasmBinning;

use crate::wasi::bindings::wasi::cli::stderr::get_stderr;

/// All memory of a component, which the host takes back after each request.
#[global_allocator]
static ALLOCATOR: TalcSyncCell<Heap, WasmBinning> = TalcSyncCell::new_wasm(Heap { end: None });

/// Where the memory ends that the allocator has. First it is given what the linker has left over of
/// the pages that every instance begins with: a usual request needs no more, and each time that
/// the memory grows costs the engine two system calls.
#[derive(Debug)]
struct Heap {
    end: Option<NonNull<u8>>,
}

// SAFETY: it allocates nothing.
unsafe impl Source for Heap {
    fn acquire<B: Binning>(talc: &mut Talc<Heap, B>, layout: Layout) -> Result<(), ()> {
        const PAGE: usize = 64 << 10;

        unsafe extern "C" {
            static mut __heap_base: u8;
        }

        let top = memory_size::<0>() * PAGE;
        let end = match talc.source.end {
            None => {
                let base = &raw mut __heap_base;
                // SAFETY: what comes after the linker's `__heap_base` is nobody else's.
                unsafe { talc.claim(base, top - base as usize) }.ok_or(())?
            }
            Some(end) => {
                // A page more than the layout: room for the allocator's own.
                let more = (layout.size() + layout.align()) / PAGE + 1;
                if memory_grow::<0>(more) == usize::MAX {
                    return Err(());
                }
                // SAFETY: the new pages are nobody else's, and begin where those before end.
                unsafe { talc.extend(end, (top + more * PAGE) as *mut u8) }
            }
        };
        talc.source.end = Some(end);
        Ok(())
    }
}

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
