//! Dispatches a request by its path and method to a handler.
//!
//! Only the path counts: clients can forge the `spin-*` headers. Segments are percent-decoded once,
//! after splitting, so `%2F` stays inside its segment.

use http::{Method, StatusCode};

use crate::{Problem, Reply, Request, authorization, query};

/// A function that handles a request.
pub type Handler<C> = fn(&Request, &C) -> Result<Reply, Problem>;

/// The routes of a component: paths and their methods.
///
/// A path is literal but for `{name}`, which matches one segment. `/api/v1/…` also matches `/api/…`:
/// a path without a version is version 1. A trailing slash is ignored.
pub type Routes<C> = &'static [(&'static str, Methods<C>)];

/// The methods of one path. `HEAD` and `OPTIONS` are added automatically.
pub struct Methods<C> {
    get: Option<Guarded<C>>,
    post: Option<Guarded<C>>,
    put: Option<Guarded<C>>,
    delete: Option<Guarded<C>>,
    media_types: &'static [&'static str],
}

/// A handler, and the check that a request must pass before.
struct Guarded<C> {
    handler: Handler<C>,
    // A function pointer, so that a component whose routes are all open does not link the check, which
    // imports the interface of the token.
    authorize: fn(&Request) -> Result<(), Problem>,
}

impl<C> Guarded<C> {
    const fn open(handler: Handler<C>) -> Option<Guarded<C>> {
        Some(Guarded { handler, authorize: |_| Ok(()) })
    }

    const fn change(handler: Handler<C>) -> Option<Guarded<C>> {
        Some(Guarded { handler, authorize: authorization::require })
    }
}

/// `GET` and `HEAD`.
pub const fn get<C>(handler: Handler<C>) -> Methods<C> {
    Methods::NONE.get(handler)
}

/// `GET` and `HEAD` of personal data, which need the token where the operator requires it.
pub const fn get_private<C>(handler: Handler<C>) -> Methods<C> {
    Methods::NONE.get_private(handler)
}

/// `POST` that changes something and so needs the token.
pub const fn post<C>(handler: Handler<C>) -> Methods<C> {
    Methods::NONE.post(handler)
}

/// `POST` that only calculates and so needs no token.
pub const fn post_public<C>(handler: Handler<C>) -> Methods<C> {
    Methods { post: Guarded::open(handler), ..Methods::NONE }
}

/// `PUT`.
pub const fn put<C>(handler: Handler<C>) -> Methods<C> {
    Methods::NONE.put(handler)
}

/// `DELETE`.
pub const fn delete<C>(handler: Handler<C>) -> Methods<C> {
    Methods::NONE.delete(handler)
}

impl<C> Methods<C> {
    const NONE: Self = Methods {
        get: None,
        post: None,
        put: None,
        delete: None,
        media_types: &["application/json"],
    };

    /// Adds `GET` and `HEAD`.
    pub const fn get(mut self, handler: Handler<C>) -> Self {
        self.get = Guarded::open(handler);
        self
    }

    /// Adds `GET` and `HEAD` of personal data, which need the token where the operator requires it.
    pub const fn get_private(mut self, handler: Handler<C>) -> Self {
        self.get = Some(Guarded { handler, authorize: authorization::require_private });
        self
    }

    /// Adds `POST` that changes something and so needs the token.
    pub const fn post(mut self, handler: Handler<C>) -> Self {
        self.post = Guarded::change(handler);
        self
    }

    /// Adds `PUT`.
    pub const fn put(mut self, handler: Handler<C>) -> Self {
        self.put = Guarded::change(handler);
        self
    }

    /// Adds `DELETE`.
    pub const fn delete(mut self, handler: Handler<C>) -> Self {
        self.delete = Guarded::change(handler);
        self
    }

    /// Sets the available media types in place of JSON. A client that accepts none of them gets 406.
    pub const fn produces(mut self, media_types: &'static [&'static str]) -> Self {
        self.media_types = media_types;
        self
    }

    fn find(&self, method: &Method) -> Option<&Guarded<C>> {
        match *method {
            // The host omits the body of a response to HEAD.
            Method::GET | Method::HEAD => self.get.as_ref(),
            Method::POST => self.post.as_ref(),
            Method::PUT => self.put.as_ref(),
            Method::DELETE => self.delete.as_ref(),
            _ => None,
        }
    }

    /// The value of `Allow`.
    fn allow(&self) -> String {
        let methods = [
            ("GET, HEAD", self.get.is_some()),
            ("POST", self.post.is_some()),
            ("PUT", self.put.is_some()),
            ("DELETE", self.delete.is_some()),
            ("OPTIONS", true),
        ];
        let allowed = methods.into_iter().filter(|(_, exists)| *exists);
        allowed.map(|(names, _)| names).collect::<Vec<_>>().join(", ")
    }
}

/// Handles a request. Returns the route that matched, and the reply.
pub(crate) fn dispatch<C>(
    routes: Routes<C>,
    context: &C,
    request: &mut Request,
) -> (Option<&'static str>, Reply) {
    for (route, methods) in routes {
        let Some(segments) = segments(route, &request.path) else { continue };
        let reply = match decode(&segments) {
            Some(parameters) => {
                request.parameters = parameters;
                call(methods, context, request).unwrap_or_else(Reply::from)
            }
            None => Problem::bad_request("the path is not UTF-8").into(),
        };
        let reply = match methods.media_types {
            [_] => reply,
            _ => reply.default_header("vary", "accept"),
        };
        let reply = match version(route) {
            Some(version) => reply.header("api-version", version),
            None => reply,
        };
        return (Some(route), unsniffed(reply));
    }
    let reply = Problem::not_found(format!("no resource at {}", request.path)).into();
    (None, unsniffed(reply))
}

/// Browsers must not guess another media type than the one that is sent.
fn unsniffed(reply: Reply) -> Reply {
    reply.header("x-content-type-options", "nosniff")
}

fn call<C>(methods: &Methods<C>, context: &C, request: &Request) -> Result<Reply, Problem> {
    if request.method == Method::OPTIONS {
        return Ok(Reply::no_content().header("allow", methods.allow()));
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

/// The raw segments of `path` where `route` has `{name}`, `None` when the path does not match.
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

/// The number in `/api/v<number>/…`.
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
        ("/api/v2/things/{name}/of/{owner}", put(two).delete(two)),
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

    fn ask(method: &str, path: &str) -> http::Response<Vec<u8>> {
        let request = http::Request::builder().method(method).uri(path).body(Vec::new());
        respond(ROUTES, &(), request.unwrap())
    }

    fn body(path: &str) -> String {
        let response = ask("GET", path);
        assert_eq!(response.status(), 200, "{path}");
        String::from_utf8(response.into_body()).unwrap()
    }

    #[test]
    fn segments_are_decoded_once_after_splitting() {
        assert_eq!(body("/api/v1/things/a%2Fb?x=/"), r#""a/b""#);
        assert_eq!(body("/api/v1/things/%2541"), r#""%41""#);
        assert_eq!(body("/api/v1/things/%C3%A4+%20"), "\"ä+ \"");
        assert_eq!(ask("GET", "/api/v1/things/%FF").status(), 400);
    }

    #[test]
    fn path_without_version_is_version_1() {
        assert_eq!(body("/api/things"), r#""list""#);
        assert_eq!(body("/api/things/v2"), r#""v2""#);
        assert_eq!(ask("GET", "/api/things").headers()["api-version"], "1");
        assert_eq!(ask("PUT", "/api/things/a/of/b").status(), 404);
    }

    #[test]
    fn trailing_slash_is_ignored_and_empty_segment_does_not_match() {
        assert_eq!(body("/api/v1/things/"), r#""list""#);
        assert_eq!(body("/"), r#""root""#);
        for none in
            ["/api/v1/things//", "/api/v1//things", "//", "/api/v1/things/a/b", "/api/v3/things"]
        {
            assert_eq!(ask("GET", none).status(), 404, "{none}");
        }
    }

    #[test]
    fn versioned_route_sends_api_version() {
        assert_eq!(ask("PUT", "/api/v2/things/a/of/b").headers()["api-version"], "2");
        assert_eq!(ask("GET", "/api/v2/things/a/of/b").headers()["api-version"], "2");
        assert!(!ask("GET", "/").headers().contains_key("api-version"));
        assert!(!ask("GET", "/api/v2/nothing").headers().contains_key("api-version"));
    }

    #[test]
    fn unsupported_method_is_405_with_allow() {
        let refused = ask("PATCH", "/api/v2/things/a/of/b");
        assert_eq!(refused.status(), 405);
        assert_eq!(refused.headers()[header::ALLOW], "PUT, DELETE, OPTIONS");
        let options = ask("OPTIONS", "/api/v1/things");
        assert_eq!((options.status().as_u16(), options.body().len()), (204, 0));
        assert_eq!(options.headers()[header::ALLOW], "GET, HEAD, POST, OPTIONS");
        assert_eq!(ask("HEAD", "/api/v1/things").status(), 200);
    }

    #[test]
    fn every_response_forbids_sniffing_and_varies_with_its_media_types() {
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
    fn unacceptable_media_type_is_406() {
        let request = http::Request::get("/").header("accept", "text/csv").body(Vec::new());
        assert_eq!(respond(ROUTES, &(), request.unwrap()).status(), 406);
    }
}
