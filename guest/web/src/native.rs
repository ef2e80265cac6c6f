//! The same routes without wasm, in `http` types, for tests.

use std::cell::Cell;

use http::{HeaderMap, HeaderValue};

use crate::router::answer;
use crate::{Interrupted, Problem, Request, Routes, Source};

/// Answers one request. This is all of a component but its transport.
///
/// # Panics
///
/// When a handler sets a header that no response can have, or a streamed body breaks off.
pub fn respond<C, E: Into<Problem>>(
    routes: Routes<C, E>,
    context: &C,
    request: http::Request<Vec<u8>>,
) -> http::Response<Vec<u8>> {
    let (_, mut reply) = answer(routes, context, &mut receive(request));
    let mut response = http::Response::builder().status(reply.0.status);
    for (name, value) in reply.0.headers {
        let value = HeaderValue::try_from(value).expect("a header's value is visible ASCII");
        response = response.header(name, value);
    }
    let mut body = Vec::new();
    while let Some(chunk) = reply.0.body.next().expect("the body is complete") {
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
}
