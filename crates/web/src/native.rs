//! Calls handlers natively with `http` types, for unit tests.

use std::cell::Cell;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use crate::router::dispatch;
use crate::{Interrupted, Request, RequestSource, Routes};

/// Handles a request as the component does, without a host.
///
/// # Panics
///
/// Panics when a handler sets an invalid header or a streamed body fails.
pub fn respond<C>(
    routes: Routes<C>,
    context: &C,
    request: http::Request<Vec<u8>>,
) -> http::Response<Vec<u8>> {
    let (_, mut reply) = dispatch(routes, context, &mut receive(request));
    let mut response = http::Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        let value = HeaderValue::try_from(value).expect("header values are visible ASCII");
        response = response.header(name, value);
    }
    let mut body = Vec::new();
    while let Some(chunk) = reply.body.next().expect("the stream does not fail") {
        body.extend_from_slice(&chunk);
    }
    response.body(body).expect("status and headers are valid")
}

pub(crate) fn receive(request: http::Request<Vec<u8>>) -> Request {
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    Request::new(
        head.method,
        target,
        Box::new(BufferedRequest { headers: head.headers, body: Cell::new(body) }),
    )
}

struct BufferedRequest {
    headers: HeaderMap,
    body: Cell<Vec<u8>>,
}

impl RequestSource for BufferedRequest {
    fn header(&self, name: &str) -> (usize, String) {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let values: Vec<_> = self.headers.get_all(name).iter().map(text).collect();
        (values.len(), values.join(", "))
    }

    fn read(&self, _: Duration) -> Result<Vec<u8>, Interrupted> {
        Ok(self.body.take())
    }

    fn finish(&self) {}

    fn is_finished(&self) -> bool {
        true
    }
}
