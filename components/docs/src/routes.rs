//! The handlers.

use serde::Serialize;
use web::{Problem, Reply, Request};

use crate::files::{ASSETS, File, OPENAPI, PAGE, SWAGGER, VERSION};

/// The media types of `/`. A client without a preference gets JSON.
pub const ROOT: [&str; 2] = ["application/json", "text/html"];

/// The media types of the files that the pages load.
pub const ASSET: [&str; 4] = ["text/javascript", "text/css", "image/svg+xml", "text/plain"];

/// Pages may load from and connect to this origin only. The icons of Swagger UI are `data:` URLs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// For files with their version in the URL.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

#[derive(Serialize)]
struct Root {
    status: &'static str,
    app: &'static str,
    version: &'static str,
}

/// Gets service information; in a browser, the page.
pub fn root(request: &Request, _: &()) -> Result<Reply, Problem> {
    let reply = match request.preferred(&ROOT) {
        Some("text/html") => page(request, &PAGE)?,
        _ => {
            let version = env!("CARGO_PKG_VERSION");
            Reply::ok(&Root { status: "healthy", app: "katas", version })
        }
    };
    Ok(reply.header("vary", "accept, accept-encoding"))
}

/// Gets the OpenAPI document.
pub fn openapi(request: &Request, _: &()) -> Result<Reply, Problem> {
    OPENAPI.reply(request)
}

/// Gets Swagger UI.
pub fn swagger(request: &Request, _: &()) -> Result<Reply, Problem> {
    page(request, &SWAGGER)
}

/// Gets a file that a page loads. A page of another release, which is still open during a rolling update,
/// gets the current file and must not cache it.
pub fn asset(request: &Request, _: &()) -> Result<Reply, Problem> {
    let name = request.param("file");
    let Some(file) = ASSETS.iter().find(|file| file.name == name) else {
        return Err(Problem::not_found(format!("no file {name}")));
    };
    let reply = file.reply(request)?;
    match request.param("version") == VERSION {
        true => Ok(reply.header("cache-control", IMMUTABLE)),
        false => Ok(reply),
    }
}

fn page(request: &Request, file: &'static File) -> Result<Reply, Problem> {
    Ok(file.reply(request)?.header("content-security-policy", POLICY))
}
