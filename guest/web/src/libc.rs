//! What stands under the standard library here, in place of wasi-libc's.
//!
//! Each function below is called by the code that prints a panic, and by nothing else in a
//! component. wasi-libc's bring with them a table of file descriptors, the terminals, the
//! environment and `printf`; its allocator is three times as large. Together they would be 30 KB in
//! every component, and seven interfaces that a service has no use for. The linker takes these and
//! leaves those out.
#![expect(unsafe_code, reason = "C's signatures")]

use std::alloc::Layout;
use std::arch::wasm32::{memory_grow, memory_size};
use std::ffi::c_char;
use std::ptr::null_mut;

use talc::locking::AssumeUnlockable;
use talc::{OomHandler, Span, Talc, Talck};

use crate::wasi::bindings::wasi::cli::stderr::get_stderr;

/// All memory of a component, which the host takes back after each request.
#[global_allocator]
static ALLOCATOR: Talck<AssumeUnlockable, Heap> = Talc::new(Heap(Span::empty())).lock();

/// What has been claimed so far. First comes what the linker left free of the pages that every
/// instance begins with: a usual request needs no more, and for each page that is asked for the
/// engine makes two system calls.
struct Heap(Span);

// SAFETY: a component has one thread.
unsafe impl Send for Heap {}

impl OomHandler for Heap {
    fn handle_oom(talc: &mut Talc<Heap>, layout: Layout) -> Result<(), ()> {
        const PAGE: usize = 64 << 10;

        unsafe extern "C" {
            static mut __heap_base: u8;
        }

        let end = memory_size::<0>() * PAGE;
        let Heap(claimed) = talc.oom_handler;
        let Some((base, _)) = claimed.get_base_acme() else {
            let free = Span::new(&raw mut __heap_base, end as *mut u8);
            // SAFETY: nobody but this allocator uses what comes after the linker's `__heap_base`.
            talc.oom_handler = Heap(unsafe { talc.claim(free)? });
            return Ok(());
        };
        let pages = (layout.size() + layout.align() + PAGE).div_ceil(PAGE);
        if memory_grow::<0>(pages) == usize::MAX {
            return Err(());
        }
        let larger = Span::new(base, (end + pages * PAGE) as *mut u8);
        // SAFETY: these pages are new, and begin where the claimed ones end.
        talc.oom_handler = Heap(unsafe { talc.extend(claimed, larger) });
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
