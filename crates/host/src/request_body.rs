//! The body of a request, which counts as incomplete until its end has been read.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep, timeout};
use wasmtime_wasi_http::Error;

/// The maximum size of a body that [`read_small`] reads, in bytes.
const SMALL_BYTES: u64 = 16 << 10;
/// The timeout of [`read_small`].
const SMALL_TIME: Duration = Duration::from_secs(1);

/// A body that arrives while its instance runs.
pub(crate) struct RequestBody {
    body: Incoming,
    /// Released as soon as the end of the body has been read.
    permit: Option<OwnedSemaphorePermit>,
    idle: Duration,
    /// The end of the wait for the next part, if `is_waiting`.
    deadline: Pin<Box<Sleep>>,
    is_waiting: bool,
}

impl RequestBody {
    /// Creates a body that fails after its reader has waited for `idle`.
    pub(crate) fn new(body: Incoming, permit: OwnedSemaphorePermit, idle: Duration) -> RequestBody {
        let deadline = Box::pin(sleep(idle));
        RequestBody { body, permit: Some(permit), idle, deadline, is_waiting: false }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            if !self.is_waiting {
                // The reader may have been busy since the last part.
                self.is_waiting = true;
                let deadline = Instant::now() + self.idle;
                self.deadline.as_mut().reset(deadline);
            }
            ready!(self.deadline.as_mut().poll(context));
            self.permit = None;
            return Poll::Ready(Some(Err(Error::ConnectionReadTimeout)));
        };
        self.is_waiting = false;
        if self.body.is_end_stream() || !matches!(frame, Some(Ok(_))) {
            self.permit = None;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Error::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Reads a whole body of up to 16 KiB. Returns `None` if it may be larger, fails, or does not
/// arrive within a second.
pub(crate) async fn read_small(mut body: Incoming) -> Option<Bytes> {
    body.size_hint().upper().filter(|&length| length <= SMALL_BYTES)?;
    let read = async {
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.ok()?.into_data() {
                bytes.extend_from_slice(&data);
            }
        }
        Some(bytes.freeze())
    };
    timeout(SMALL_TIME, read).await.ok()?
}
