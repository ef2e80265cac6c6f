//! An HTTP framework for components: routes, typed requests and replies, problem details,
//! conditional requests and keyset pages.
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
//! // Unit tests call the handlers natively, without wasm or a server.
//! let request = http::Request::get("/api/v1/hello/Ada").body(Vec::new()).unwrap();
//! let response = web::respond(ROUTES, &(), request);
//! assert_eq!(response.body(), br#""Hello, Ada""#);
//! ```
//!
//! A request is processed in these steps:
//!
//! 1. Match the path ([`Routes`]).
//! 2. Check the method, `Accept` and the token.
//! 3. Run the handler, which reads query, preconditions and body on demand.
//! 4. Turn its [`Reply`] or [`Problem`] into a response, and send the body before the head.
//! 5. Write one log line.

mod accept;
mod attempt;
mod authorization;
#[cfg(target_arch = "wasm32")]
pub mod bindings;
mod body;
mod clock;
mod conditional;
#[cfg(any(test, target_arch = "wasm32"))]
mod log;
#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(any(test, target_arch = "wasm32"))]
mod pace;
mod page;
mod prefer;
mod problem;
mod query;
mod reply;
mod request;
mod router;
#[cfg(target_arch = "wasm32")]
pub mod wasi;

pub use attempt::Attempt;
pub use body::Chunks;
pub use clock::{now, today};
pub use conditional::{Preconditions, Tags};
#[cfg(not(target_arch = "wasm32"))]
pub use native::respond;
pub use problem::Problem;
pub use query::Query;
pub use reply::{Reply, Stream};
pub use request::{Interrupted, Request, RequestSource};
pub use router::{
    Handler, Methods, Routes, delete, get, get_private, patch, post, post_public, put,
};

/// Exports the routes as the component's `wasi:http/incoming-handler`. Expands to nothing on native
/// targets.
///
/// `$context` is the type of the state that handlers receive, such as a database handle. Each
/// request gets a new value from `Default`.
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

    $crate::wasi::export!(Component with_types_in $crate::bindings);
        };
    };
}
