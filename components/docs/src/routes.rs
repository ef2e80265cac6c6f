//! The handlers.

use serde::Serialize;
use web::{Problem, Reply, Request};

use crate::files::{ASSETS, File, OPENAPI, PLAYGROUND, SWAGGER_UI, VERSION};

/// The media types of `/`. A client without a preference gets JSON.
pub const ROOT_TYPES: [&str; 2] = ["application/json", "text/html"];

/// The media types of the files that the pages load.
pub const ASSET_TYPES: [&str; 4] = ["text/javascript", "text/css", "image/svg+xml", "text/plain"];

/// The Content-Security-Policy of the pages: they load from and connect to this origin only. The
/// icons of Swagger UI are `data:` URLs.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// The `Cache-Control` of assets with the current version in the URL.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

#[derive(Serialize)]
struct ServiceInfo {
    status: &'static str,
    app: &'static str,
    version: &'static str,
}

/// Returns service information; to a client that prefers HTML, the playground.
pub fn root(request: &Request, _: &()) -> Result<Reply, Problem> {
    let reply = match request.preferred(&ROOT_TYPES) {
        Some("text/html") => page(request, &PLAYGROUND)?,
        _ => {
            let version = env!("CARGO_PKG_VERSION");
            Reply::ok(&ServiceInfo { status: "healthy", app: "katas", version })
        }
    };
    Ok(reply.header("vary", "accept, accept-encoding"))
}

/// Returns the OpenAPI document.
pub fn openapi(request: &Request, _: &()) -> Result<Reply, Problem> {
    OPENAPI.reply(request)
}

/// Returns Swagger UI.
pub fn swagger_ui(request: &Request, _: &()) -> Result<Reply, Problem> {
    page(request, &SWAGGER_UI)
}

/// Returns a file that a page loads. During a rolling update, a page of another release receives
/// the current file, which must not be cached under that URL.
pub fn asset(request: &Request, _: &()) -> Result<Reply, Problem> {
    let name = request.param("file");
    let Some(file) = ASSETS.iter().find(|file| file.name == name) else {
        return Err(Problem::not_found(format!("file {name} not found")));
    };
    let reply = file.reply(request)?;
    match request.param("version") == VERSION {
        true => Ok(reply.header("cache-control", IMMUTABLE)),
        false => Ok(reply),
    }
}

fn page(request: &Request, file: &'static File) -> Result<Reply, Problem> {
    Ok(file.reply(request)?.header("content-security-policy", CONTENT_SECURITY_POLICY))
}
