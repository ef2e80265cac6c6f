//! From a path and a method to a handler, and from its result to a reply.
//!
//! Only the path decides: the `spin-*` headers can be forged. It is split first and its segments
//! are percent-decoded after that, once, so `%2F` stays inside a segment.

use crate::{Problem, Reply, Request, authorization, query};
use http::{Method, StatusCode};

/// What answers a request: reads it, does what it asks for, says how that went.
pub type Handler<C, E> = fn(&Request, &C) -> Result<Reply, E>;

/// Every path a component answers, with what it does there.
///
/// A path is literal but for `{name}`, which takes one whole segment. `/api/v1/…` answers `/api/…`
/// as well: a path without a version means the first. A slash at the end makes no difference.
pub type Routes<C, E> = &'static [(&'static str, Methods<C, E>)];

/// The methods of one path. `HEAD` and `OPTIONS` come by themselves.
pub struct Methods<C, E> {
    get: Option<Handler<C, E>>,
    post: Option<Change<C, E>>,
    put: Option<Change<C, E>>,
    delete: Option<Change<C, E>>,
    produces: &'static [&'static str],
}

/// A handler, and what is asked of a request before it may run.
struct Change<C, E> {
    handler: Handler<C, E>,
    // A pointer, so that a component that changes nothing does not have the code, nor import
    // where the token comes from.
    permit: fn(&Request) -> Result<(), Problem>,
}

impl<C, E> Change<C, E> {
    const fn new(handler: Handler<C, E>) -> Option<Change<C, E>> {
        Some(Change { handler, permit: authorization::require })
    }
}

/// `GET`, and `HEAD` with it.
pub const fn get<C, E>(handler: Handler<C, E>) -> Methods<C, E> {
    Methods::NONE.get(handler)
}

/// `POST` that changes something.
pub const fn post<C, E>(handler: Handler<C, E>) -> Methods<C, E> {
    Methods::NONE.post(handler)
}

/// `POST` that changes nothing, but has more to ask than a query can say.
pub const fn compute<C, E>(handler: Handler<C, E>) -> Methods<C, E> {
    Methods { post: Some(Change { handler, permit: |_| Ok(()) }), ..Methods::NONE }
}

/// `PUT`.
pub const fn put<C, E>(handler: Handler<C, E>) -> Methods<C, E> {
    Methods::NONE.put(handler)
}

/// `DELETE`.
pub const fn delete<C, E>(handler: Handler<C, E>) -> Methods<C, E> {
    Methods::NONE.delete(handler)
}

impl<C, E> Methods<C, E> {
    const NONE: Self =
        Methods { get: None, post: None, put: None, delete: None, produces: &["application/json"] };

    /// Also `GET`, and `HEAD` with it.
    pub const fn get(mut self, handler: Handler<C, E>) -> Self {
        self.get = Some(handler);
        self
    }

    /// Also `POST` that changes something.
    pub const fn post(mut self, handler: Handler<C, E>) -> Self {
        self.post = Change::new(handler);
        self
    }

    /// Also `PUT`.
    pub const fn put(mut self, handler: Handler<C, E>) -> Self {
        self.put = Change::new(handler);
        self
    }

    /// Also `DELETE`.
    pub const fn delete(mut self, handler: Handler<C, E>) -> Self {
        self.delete = Change::new(handler);
        self
    }

    /// The media types that can be had, in place of JSON; a client that takes none of them gets 406.
    pub const fn produces(mut self, media_types: &'static [&'static str]) -> Self {
        self.produces = media_types;
        self
    }

    fn change(&self, method: &Method) -> Option<&Change<C, E>> {
        match *method {
            Method::POST => self.post.as_ref(),
            Method::PUT => self.put.as_ref(),
            Method::DELETE => self.delete.as_ref(),
            _ => None,
        }
    }

    /// The value of `Allow`.
    fn allow(&self) -> String {
        let mut allow = String::new();
        for (there, names) in [
            (self.get.is_some(), "GET, HEAD, "),
            (self.post.is_some(), "POST, "),
            (self.put.is_some(), "PUT, "),
            (self.delete.is_some(), "DELETE, "),
        ] {
            allow += if there { names } else { "" };
        }
        allow + "OPTIONS"
    }
}

/// The reply to a request, and the route that gave it.
pub(crate) fn answer<C, E: Into<Problem>>(
    routes: Routes<C, E>,
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
        return match version(route) {
            Some(version) => (Some(route), reply.header("api-version", version)),
            None => (Some(route), reply),
        };
    }
    (None, Problem::not_found(format!("there is nothing at {}", request.path)).into())
}

fn call<C, E: Into<Problem>>(
    methods: &Methods<C, E>,
    context: &C,
    request: &Request,
) -> Result<Reply, Problem> {
    if request.method == Method::OPTIONS {
        return Ok(Reply::no_content().header("allow", methods.allow()));
    }
    let (handler, permit) = match request.method {
        // The host sends the head of what would be the answer to GET, and drops the body.
        Method::GET | Method::HEAD => (methods.get, None),
        _ => methods.change(&request.method).map(|it| (it.handler, it.permit)).unzip(),
    };
    let Some(handler) = handler else {
        let detail = format!("{} is not possible here", request.method.as_str());
        return Err(
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).header("allow", methods.allow())
        );
    };
    if request.preferred(methods.produces).is_none() {
        return Err(not_acceptable(methods.produces));
    }
    if let Some(permit) = permit {
        permit(request)?;
    }
    handler(request, context).map_err(E::into)
}

fn not_acceptable(produces: &[&str]) -> Problem {
    let mut detail = "only ".to_owned();
    for (place, media_type) in produces.iter().enumerate() {
        detail += if place > 0 { " or " } else { "" };
        detail += media_type;
    }
    Problem::new(StatusCode::NOT_ACCEPTABLE, detail + " can be had here")
}

/// The raw segments of `path` where `route` has `{name}`, `None` when it is another path.
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

    const ROUTES: Routes<(), Problem> = &[
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
    fn a_path_without_a_version_means_the_first() {
        assert_eq!(body("/api/things"), r#""list""#);
        assert_eq!(body("/api/things/v2"), r#""v2""#);
        assert_eq!(ask("GET", "/api/things").headers()["api-version"], "1");
        assert_eq!(ask("PUT", "/api/things/a/of/b").status(), 404);
    }

    #[test]
    fn a_slash_at_the_end_makes_no_difference_and_an_empty_segment_is_no_name() {
        assert_eq!(body("/api/v1/things/"), r#""list""#);
        assert_eq!(body("/"), r#""root""#);
        for none in
            ["/api/v1/things//", "/api/v1//things", "//", "/api/v1/things/a/b", "/api/v3/things"]
        {
            assert_eq!(ask("GET", none).status(), 404, "{none}");
        }
    }

    #[test]
    fn every_response_of_a_versioned_route_names_its_version() {
        assert_eq!(ask("PUT", "/api/v2/things/a/of/b").headers()["api-version"], "2");
        assert_eq!(ask("GET", "/api/v2/things/a/of/b").headers()["api-version"], "2");
        assert!(!ask("GET", "/").headers().contains_key("api-version"));
        assert!(!ask("GET", "/api/v2/nothing").headers().contains_key("api-version"));
    }

    #[test]
    fn other_methods_learn_what_is_allowed() {
        let refused = ask("PATCH", "/api/v2/things/a/of/b");
        assert_eq!(refused.status(), 405);
        assert_eq!(refused.headers()[header::ALLOW], "PUT, DELETE, OPTIONS");
        let options = ask("OPTIONS", "/api/v1/things");
        assert_eq!((options.status().as_u16(), options.body().len()), (204, 0));
        assert_eq!(options.headers()[header::ALLOW], "GET, HEAD, POST, OPTIONS");
        assert_eq!(ask("HEAD", "/api/v1/things").status(), 200);
    }

    #[test]
    fn an_answer_nobody_accepts_is_not_made() {
        let request = http::Request::get("/").header("accept", "text/csv").body(Vec::new());
        assert_eq!(respond(ROUTES, &(), request.unwrap()).status(), 406);
    }
}
