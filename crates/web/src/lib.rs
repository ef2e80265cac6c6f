//! HTTP for components: typed requests and replies, routes, errors, conditional requests, pages.
//!
//! A component is a table of routes and their handlers:
//!
//! ```
//! use web::{Problem, Reply, Request, Routes, get};
//!
//! const ROUTES: Routes<()> = &[("/api/v1/hello/{name}", get(hello))];
//!
//! fn hello(request: &Request, _context: &()) -> Result<Reply, Problem> {
//!     Ok(Reply::ok(&format!("Hello, {}", request.param("name"))))
//! }
//!
//! web::service!((), ROUTES);
//!
//! // The same handlers run natively, without wasm and without a server.
//! let request = http::Request::get("/api/v1/hello/Ada").body(Vec::new()).unwrap();
//! let response = web::respond(ROUTES, &(), request);
//! assert_eq!(response.body(), br#""Hello, Ada""#);
//! ```
//!
//! A request passes through these steps: match the path ([`Routes`]), check the method, `Accept` and
//! the token, run the handler (it reads query, preconditions and body as it needs them), turn its
//! [`Reply`] or [`Problem`] into a response, send the body before the head, write one log line.

mod accept;
mod authorization;
mod body;
mod conditional;
#[cfg(any(test, target_arch = "wasm32"))]
mod log;
#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(any(test, target_arch = "wasm32"))]
mod pace;
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
pub use problem::Problem;
pub use query::Query;
pub use reply::{Reply, Stream};
pub use request::{Interrupted, Request, Source};
pub use router::{Handler, Methods, Routes, delete, get, get_private, post, post_public, put};

/// Exports the routes as the component's `wasi:http/incoming-handler`. Expands to nothing on other
/// targets, where unit tests run.
///
/// `$context` is what the handlers of one request share, such as its database connection. Each request
/// gets a new one by `Default`.
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
                    $crate::wasi::serve::<$context>(
                        env!("CARGO_PKG_NAME"),
                        $routes,
                        request,
                        response,
                    )
                }
            }

    $crate::wasi::export!(Component with_types_in $crate::wasi::bindings);
        };
    };
}
