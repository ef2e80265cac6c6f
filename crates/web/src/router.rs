//! Dispatches requests to handlers by path and method.
//!
//! Routing does not use the `spin-*` headers, because clients can forge them. Segments are
//! percent-decoded once, after the path is split, so `%2F` does not separate segments.

use http::{Method, StatusCode};

use crate::body::MERGE_PATCH;
use crate::{Problem, Reply, Request, authorization, query};

/// A function that handles a request.
pub type Handler<C> = fn(&Request, &C) -> Result<Reply, Problem>;

/// The routes of a component: path patterns and their methods.
///
/// `{name}` matches one segment; other segments match literally. `/api/v1/…` also matches `/api/…`,
/// because a path without a version means version 1. A trailing slash is ignored.
pub type Routes<C> = &'static [(&'static str, Methods<C>)];

/// The methods of a route. `HEAD` and `OPTIONS` are added automatically.
pub struct Methods<C> {
    get: Option<Guarded<C>>,
    post: Option<Guarded<C>>,
    put: Option<Guarded<C>>,
    patch: Option<Guarded<C>>,
    delete: Option<Guarded<C>>,
    media_types: &'static [&'static str],
}

/// A handler and its authorization check.
struct Guarded<C> {
    handler: Handler<C>,
    // A function pointer, so that a component without protected routes does not link the check,
    // which imports the variables interface.
    authorize: fn(&Request) -> Result<(), Problem>,
}

impl<C> Guarded<C> {
    const fn public(handler: Handler<C>) -> Option<Guarded<C>> {
        Some(Guarded { handler, authorize: |_| Ok(()) })
    }

    const fn protected(handler: Handler<C>) -> Option<Guarded<C>> {
        Some(Guarded { handler, authorize: authorization::require })
    }
}

/// Routes `GET` and `HEAD` to a handler.
pub const fn get<C>(handler: Handler<C>) -> Methods<C> {
    Methods::NONE.get(handler)
}

/// Routes `GET` and `HEAD` of personal data to a handler. Requires the token when the variable
/// `private_reads` is `true`.
pub const fn get_private<C>(handler: Handler<C>) -> Methods<C> {
    Methods::NONE.get_private(handler)
}

/// Routes `POST` to a handler. Requires the token.
pub const fn post<C>(handler: Handler<C>) -> Methods<C> {
    Methods::NONE.post(handler)
}

/// Routes `POST` to a handler that changes nothing. Requires no token.
pub const fn post_public<C>(handler: Handler<C>) -> Methods<C> {
    Methods { post: Guarded::public(handler), ..Methods::NONE }
}

/// Routes `PUT` to a handler. Requires the token.
pub const fn put<C>(handler: Handler<C>) -> Methods<C> {
    Methods::NONE.put(handler)
}

/// Routes `PATCH` to a handler. Requires the token.
pub const fn patch<C>(handler: Handler<C>) -> Methods<C> {
    Methods::NONE.patch(handler)
}

/// Routes `DELETE` to a handler. Requires the token.
pub const fn delete<C>(handler: Handler<C>) -> Methods<C> {
    Methods::NONE.delete(handler)
}

impl<C> Methods<C> {
    const NONE: Self = Methods {
        get: None,
        post: None,
        put: None,
        patch: None,
        delete: None,
        media_types: &["application/json"],
    };

    /// Adds `GET` and `HEAD`.
    pub const fn get(mut self, handler: Handler<C>) -> Self {
        self.get = Guarded::public(handler);
        self
    }

    /// Adds `GET` and `HEAD` of personal data. Requires the token when `private_reads` is `true`.
    pub const fn get_private(mut self, handler: Handler<C>) -> Self {
        self.get = Some(Guarded { handler, authorize: authorization::require_private });
        self
    }

    /// Adds `POST`. Requires the token.
    pub const fn post(mut self, handler: Handler<C>) -> Self {
        self.post = Guarded::protected(handler);
        self
    }

    /// Adds `PUT`. Requires the token.
    pub const fn put(mut self, handler: Handler<C>) -> Self {
        self.put = Guarded::protected(handler);
        self
    }

    /// Adds `PATCH`. Requires the token. The body is a JSON Merge Patch ([`Request::merge_patch`]).
    pub const fn patch(mut self, handler: Handler<C>) -> Self {
        self.patch = Guarded::protected(handler);
        self
    }

    /// Adds `DELETE`. Requires the token.
    pub const fn delete(mut self, handler: Handler<C>) -> Self {
        self.delete = Guarded::protected(handler);
        self
    }

    /// Sets the available media types, JSON by default. A request that accepts none gets 406.
    pub const fn produces(mut self, media_types: &'static [&'static str]) -> Self {
        self.media_types = media_types;
        self
    }

    fn find(&self, method: &Method) -> Option<&Guarded<C>> {
        match *method {
            // The content of a response to HEAD is omitted when it is sent.
            Method::GET | Method::HEAD => self.get.as_ref(),
            Method::POST => self.post.as_ref(),
            Method::PUT => self.put.as_ref(),
            Method::PATCH => self.patch.as_ref(),
            Method::DELETE => self.delete.as_ref(),
            _ => None,
        }
    }

    /// Returns the value of `Allow`.
    fn allow(&self) -> String {
        let methods = [
            ("GET, HEAD", self.get.is_some()),
            ("POST", self.post.is_some()),
            ("PUT", self.put.is_some()),
            ("PATCH", self.patch.is_some()),
            ("DELETE", self.delete.is_some()),
            ("OPTIONS", true),
        ];
        let allowed = methods.into_iter().filter(|(_, exists)| *exists);
        allowed.map(|(names, _)| names).collect::<Vec<_>>().join(", ")
    }
}

/// Handles a request. Returns the matching route and the reply.
pub(crate) fn dispatch<C>(
    routes: Routes<C>,
    context: &C,
    request: &mut Request,
) -> (Option<&'static str>, Reply) {
    if request.method == Method::OPTIONS && request.path == "*" {
        // Asks about the server as a whole (RFC 9110, section 9.3.7).
        return (None, with_nosniff(Reply::no_content()));
    }
    for (route, methods) in routes {
        let Some(segments) = segments(route, &request.path) else { continue };
        let reply = match decode(&segments) {
            Some(parameters) => {
                request.parameters = parameters;
                call(methods, context, request).unwrap_or_else(Reply::from)
            }
            None => Problem::bad_request("the path is not valid UTF-8").into(),
        };
        let reply = match methods.media_types {
            [_] => reply,
            _ => reply.default_header("vary", "accept"),
        };
        let reply = match version(route) {
            Some(version) => reply.header("api-version", version),
            None => reply,
        };
        return (Some(route), with_nosniff(reply));
    }
    let reply = Problem::not_found(format!("no resource at {}", request.path)).into();
    (None, with_nosniff(reply))
}

/// Prevents browsers from guessing a media type other than the one in `content-type`.
fn with_nosniff(reply: Reply) -> Reply {
    reply.header("x-content-type-options", "nosniff")
}

fn call<C>(methods: &Methods<C>, context: &C, request: &Request) -> Result<Reply, Problem> {
    if request.method == Method::OPTIONS {
        let reply = Reply::no_content().header("allow", methods.allow());
        return Ok(match methods.patch {
            Some(_) => reply.header("accept-patch", MERGE_PATCH),
            None => reply,
        });
    }
    let Some(Guarded { handler, authorize }) = methods.find(&request.method) else {
        let detail = format!("method {} not allowed", request.method);
        return Err(
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).header("allow", methods.allow())
        );
    };
    if request.preferred(methods.media_types).is_none() {
        let detail = format!("available media types: {}", methods.media_types.join(", "));
        return Err(Problem::new(StatusCode::NOT_ACCEPTABLE, detail));
    }
    authorize(request)?;
    handler(request, context)
}

/// Returns the raw segments of `path` that match `{name}` in `route`, `None` when the path does not
/// match.
fn segments<'p>(route: &'static str, path: &'p str) -> Option<Vec<(&'static str, &'p str)>> {
    let path = match path.strip_suffix('/') {
        Some(shorter) if !shorter.is_empty() && !shorter.ends_with('/') => shorter,
        _ => path,
    };
    if let (Some(route), Some(path), None) =
        (route.strip_prefix("/api/v1/"), path.strip_prefix("/api/"), version(path))
    {
        return matches(route, path);
    }
    matches(route, path)
}

fn matches<'p>(route: &'static str, path: &'p str) -> Option<Vec<(&'static str, &'p str)>> {
    let (mut expected, mut actual) = (route.split('/'), path.split('/'));
    let mut found = Vec::new();
    loop {
        match (expected.next(), actual.next()) {
            (None, None) => return Some(found),
            (Some(expected), Some(actual)) => {
                let name = expected.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
                match name {
                    Some(name) if !actual.is_empty() => found.push((name, actual)),
                    None if expected == actual => {}
                    _ => return None,
                }
            }
            _ => return None,
        }
    }
}

/// Returns the number in `/api/v<number>/…`.
fn version(path: &str) -> Option<&str> {
    let version = path.strip_prefix("/api/v")?.split('/').next()?;
    (!version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit())).then_some(version)
}

fn decode(segments: &[(&'static str, &str)]) -> Option<Vec<(&'static str, String)>> {
    let mut decoded = Vec::with_capacity(segments.len());
    for (name, raw) in segments {
        decoded.push((*name, query::percent_decoded(raw.as_bytes())?));
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;
    use crate::respond;

    const ROUTES: Routes<()> = &[
        ("/", get(|_, ()| Ok(Reply::ok(&"root")))),
        ("/api/v1/things", get(list).post(list)),
        ("/api/v1/things/{name}", get(one)),
        ("/api/v2/things/{name}/of/{owner}", put(two).patch(two).delete(two)),
    ];

    fn list(_: &Request, _: &()) -> Result<Reply, Problem> {
        Ok(Reply::ok(&"list"))
    }

    fn one(request: &Request, _: &()) -> Result<Reply, Problem> {
        Ok(Reply::ok(&request.param("name")))
    }

    fn two(request: &Request, _: &()) -> Result<Reply, Problem> {
        Ok(Reply::ok(&[request.param("name"), request.param("owner")]))
    }

    fn send(method: &str, path: &str) -> http::Response<Vec<u8>> {
        let request = http::Request::builder().method(method).uri(path).body(Vec::new());
        respond(ROUTES, &(), request.unwrap())
    }

    fn body(path: &str) -> String {
        let response = send("GET", path);
        assert_eq!(response.status(), 200, "{path}");
        String::from_utf8(response.into_body()).unwrap()
    }

    #[test]
    fn encoded_segment_is_decoded_once_after_splitting() {
        assert_eq!(body("/api/v1/things/a%2Fb?x=/"), r#""a/b""#);
        assert_eq!(body("/api/v1/things/%2541"), r#""%41""#);
        assert_eq!(body("/api/v1/things/%C3%A4+%20"), "\"ä+ \"");
        assert_eq!(send("GET", "/api/v1/things/%FF").status(), 400);
    }

    #[test]
    fn path_without_version_matches_version_1() {
        assert_eq!(body("/api/things"), r#""list""#);
        assert_eq!(body("/api/things/v2"), r#""v2""#);
        assert_eq!(send("GET", "/api/things").headers()["api-version"], "1");
        assert_eq!(send("PUT", "/api/things/a/of/b").status(), 404);
    }

    #[test]
    fn trailing_slash_is_ignored_and_empty_segment_does_not_match() {
        assert_eq!(body("/api/v1/things/"), r#""list""#);
        assert_eq!(body("/"), r#""root""#);
        for unknown in
            ["/api/v1/things//", "/api/v1//things", "//", "/api/v1/things/a/b", "/api/v3/things"]
        {
            assert_eq!(send("GET", unknown).status(), 404, "{unknown}");
        }
    }

    #[test]
    fn versioned_route_sends_api_version() {
        assert_eq!(send("PUT", "/api/v2/things/a/of/b").headers()["api-version"], "2");
        assert_eq!(send("GET", "/api/v2/things/a/of/b").headers()["api-version"], "2");
        assert!(!send("GET", "/").headers().contains_key("api-version"));
        assert!(!send("GET", "/api/v2/nothing").headers().contains_key("api-version"));
    }

    #[test]
    fn unsupported_method_returns_405_with_allow() {
        let rejected = send("POST", "/api/v2/things/a/of/b");
        assert_eq!(rejected.status(), 405);
        assert_eq!(rejected.headers()[header::ALLOW], "PUT, PATCH, DELETE, OPTIONS");
        let options = send("OPTIONS", "/api/v1/things");
        assert_eq!((options.status().as_u16(), options.body().len()), (204, 0));
        assert_eq!(options.headers()[header::ALLOW], "GET, HEAD, POST, OPTIONS");
        assert_eq!(send("HEAD", "/api/v1/things").status(), 200);
    }

    #[test]
    fn options_of_a_route_with_patch_sends_accept_patch() {
        let options = send("OPTIONS", "/api/v2/things/a/of/b");
        assert_eq!(options.headers()["allow"], "PUT, PATCH, DELETE, OPTIONS");
        assert_eq!(options.headers()["accept-patch"], "application/merge-patch+json");
        assert!(!send("OPTIONS", "/api/v1/things").headers().contains_key("accept-patch"));
    }

    #[test]
    fn every_response_has_nosniff_and_vary_where_media_types_differ() {
        const MANY: Routes<()> = &[(
            "/",
            get(|_, ()| Ok(Reply::ok(&"root"))).produces(&["application/json", "text/csv"]),
        )];
        let header = |routes, path: &str, name: &str| {
            let request = http::Request::get(path).body(Vec::new()).unwrap();
            let value = respond(routes, &(), request).headers().get(name).cloned();
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        for (routes, path) in [(ROUTES, "/"), (ROUTES, "/nothing"), (MANY, "/")] {
            assert_eq!(header(routes, path, "x-content-type-options").unwrap(), "nosniff");
        }
        assert_eq!(header(MANY, "/", "vary").as_deref(), Some("accept"));
        assert_eq!(header(ROUTES, "/", "vary"), None);
    }

    #[test]
    fn unacceptable_media_type_returns_406() {
        let request = http::Request::get("/").header("accept", "text/csv").body(Vec::new());
        assert_eq!(respond(ROUTES, &(), request.unwrap()).status(), 406);
    }
}
