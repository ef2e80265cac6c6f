//! HTTP for components: a request in, a typed value; a typed value, a response out.
//!
//! A component is a table of routes and a handful of handlers:
//!
//! ```
//! use web::{Problem, Reply, Request, Routes, get};
//!
//! const ROUTES: Routes<(), Problem> = &[("/api/v1/hello/{name}", get(hello))];
//!
//! fn hello(request: &Request, _context: &()) -> Result<Reply, Problem> {
//!     Ok(Reply::ok(&format!("Hello, {}", request.param("name"))))
//! }
//!
//! web::service!((), ROUTES);
//!
//! // The same handlers answer natively, without wasm and without a server.
//! let request = http::Request::get("/api/v1/hello/Ada").body(Vec::new()).unwrap();
//! let response = web::respond(ROUTES, &(), request);
//! assert_eq!(response.body(), br#""Hello, Ada""#);
//! ```
//!
//! The order of one request: match the path ([`Routes`]), check the method and what the client
//! accepts, run the handler (it reads query, preconditions and body when it needs them), turn its
//! [`Reply`] or [`Problem`] into a response, send the body before the head, write one log line.
//!
//! All of this is inside every component, so its bytes count: headers are asked of the host by name
//! instead of being copied into a map, and what is read is parsed by little code that all routes
//! share.

mod accept;
mod authorization;
mod body;
mod conditional;
#[cfg(target_arch = "wasm32")]
mod libc;
#[cfg(any(test, target_arch = "wasm32"))]
mod log;
#[cfg(not(target_arch = "wasm32"))]
mod native;
mod page;
mod problem;
mod query;
mod reply;
mod request;
mod router;
#[cfg(target_arch = "wasm32")]
pub mod wasi;

pub use body::Chunks;
pub use conditional::{Preconditions, Tags};
#[cfg(not(target_arch = "wasm32"))]
pub use native::respond;
pub use page::Cursor;
pub use problem::Problem;
pub use query::Query;
pub use reply::{Reply, Stream};
pub use request::{Interrupted, Request, Source};
pub use router::{Handler, Methods, Routes, compute, delete, get, post, put};

/// Exports the routes as the component's `wasi:http/incoming-handler`. Natively it does nothing, so
/// that the crate's unit tests run like those of any other.
///
/// `$context` is made anew for every request by its `Default`: what the handlers share within one
/// request, such as the database connection. `()` for a component that needs nothing.
#[macro_export]
macro_rules! service {
    ($context:ty, $routes:expr) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Component;

            impl $crate::wasi::Guest for Component {
                fn handle(
                    request: $crate::wasi::IncomingRequest,
                    response: $crate::wasi::ResponseOutparam,
                ) {
                    $crate::wasi::serve(
                        env!("CARGO_PKG_NAME"),
                        $routes,
                        <$context>::default,
                        request,
                        response,
                    )
                }
            }

    $crate::wasi::export!(Component with_types_in $crate::wasi::bindings);
        };
    };
}
