//! Forwards the guests' standard output and standard error to the log, line by line.

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

/// An output stream that logs complete lines. The last line is logged even without a line break.
#[derive(Clone)]
pub(crate) struct LineStream(Arc<Mutex<LineBuffer>>);

struct LineBuffer {
    log: Log,
    line: Vec<u8>,
}

impl LineStream {
    pub(crate) fn new(log: Log) -> LineStream {
        LineStream(Arc::new(Mutex::new(LineBuffer { log, line: Vec::new() })))
    }

    fn push(&self, bytes: &[u8]) {
        let mut buffer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            buffer.line.extend_from_slice(piece);
            if buffer.line.ends_with(b"\n") {
                buffer.line.pop();
                buffer.log_line();
            }
        }
    }
}

impl LineBuffer {
    fn log_line(&mut self) {
        (self.log)(&String::from_utf8_lossy(&mem::take(&mut self.line)));
    }
}

impl Drop for LineBuffer {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.log_line();
        }
    }
}

impl IsTerminal for LineStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LineStream {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl OutputStream for LineStream {
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
impl Pollable for LineStream {
    async fn ready(&mut self) {}
}

impl AsyncWrite for LineStream {
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
    fn partial_writes_are_logged_as_complete_lines() {
        let logged = Arc::new(Mutex::new(Vec::new()));
        let sink = logged.clone();
        let log: Log = Arc::new(move |line: &str| sink.lock().unwrap().push(line.to_owned()));
        let stream = LineStream::new(log);
        stream.push(b"a");
        stream.push(b"b\n\nc");
        assert_eq!(*logged.lock().unwrap(), ["ab", ""]);
        drop(stream);
        assert_eq!(*logged.lock().unwrap(), ["ab", "", "c"]);
    }
}
