//! Calls routes natively with `http` types, for tests.

use std::cell::Cell;

use http::{HeaderMap, HeaderValue};

use crate::router::dispatch;
use crate::{Interrupted, Request, Routes, Source};

/// Handles one request: everything that a component does, without the host.
///
/// # Panics
///
/// When a handler sets an invalid header, or a streamed body fails.
pub fn respond<C>(
    routes: Routes<C>,
    context: &C,
    request: http::Request<Vec<u8>>,
) -> http::Response<Vec<u8>> {
    let (_, mut reply) = dispatch(routes, context, &mut receive(request));
    let mut response = http::Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        let value = HeaderValue::try_from(value).expect("a header's value is visible ASCII");
        response = response.header(name, value);
    }
    let mut body = Vec::new();
    while let Some(chunk) = reply.body.next().expect("the body is complete") {
        body.extend_from_slice(&chunk);
    }
    response.body(body).expect("every part has been checked")
}

pub(crate) fn receive(request: http::Request<Vec<u8>>) -> Request {
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    Request::new(
        head.method,
        target,
        Box::new(Complete { headers: head.headers, body: Cell::new(body) }),
    )
}

struct Complete {
    headers: HeaderMap,
    body: Cell<Vec<u8>>,
}

impl Source for Complete {
    fn header(&self, name: &str) -> Option<String> {
        let values: Vec<_> = self
            .headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    fn read(&self) -> Result<Vec<u8>, Interrupted> {
        Ok(self.body.take())
    }

    fn finish(&self) {}

    fn is_finished(&self) -> bool {
        true
    }
}
