//! What guests write to standard output and error: passed on line by line.

use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::Log;

/// One guest's stream. Its lines arrive whole, however they are written, and its last one does even
/// without an end.
#[derive(Clone)]
pub(crate) struct Lines(Arc<Mutex<Partial>>);

struct Partial {
    log: Log,
    line: Vec<u8>,
}

impl Lines {
    pub(crate) fn new(log: Log) -> Lines {
        Lines(Arc::new(Mutex::new(Partial { log, line: Vec::new() })))
    }

    fn push(&self, bytes: &[u8]) {
        let mut partial = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            partial.line.extend_from_slice(piece);
            if partial.line.ends_with(b"\n") {
                partial.line.pop();
                partial.tell();
            }
        }
    }
}

impl Partial {
    fn tell(&mut self) {
        (self.log)(&String::from_utf8_lossy(&mem::take(&mut self.line)));
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.tell();
        }
    }
}

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(1 << 20)
    }
}

#[async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Lines {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_arrive_whole() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let into = told.clone();
        let log: Log = Arc::new(move |line: &str| into.lock().unwrap().push(line.to_owned()));
        let lines = Lines::new(log);
        lines.push(b"a");
        lines.push(b"b\n\nc");
        assert_eq!(*told.lock().unwrap(), ["ab", ""]);
        drop(lines);
        assert_eq!(*told.lock().unwrap(), ["ab", "", "c"]);
    }
}
