//! What the application says of itself, to programs and to people.

use serde::Serialize;
use web::{Problem, Reply, Request};

use crate::files::{ASSETS, File, OPENAPI, PAGE, SWAGGER, VERSION};

/// What can be had at `/`. Who has no preference is a program.
pub const ROOT: [&str; 2] = ["application/json", "text/html"];

/// What the pages load.
pub const ASSET: [&str; 4] = ["text/javascript", "text/css", "image/svg+xml", "text/plain"];

/// A page may load what is served here, and talk to nobody else. Swagger UI has its icons in `data:`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// What has its version in its address never changes there.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

#[derive(Serialize)]
struct Root {
    status: &'static str,
    app: &'static str,
    version: &'static str,
}

/// Who is there; to a browser, the page to try it.
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

/// The description of the API.
pub fn openapi(request: &Request, _: &()) -> Result<Reply, Problem> {
    OPENAPI.reply(request)
}

/// Swagger UI.
pub fn swagger(request: &Request, _: &()) -> Result<Reply, Problem> {
    page(request, &SWAGGER)
}

/// What a page loads. A page of another release, which a rolling update leaves open, gets what there
/// is, but must not keep it.
pub fn asset(request: &Request, _: &()) -> Result<Reply, Problem> {
    let name = request.param("file");
    let Some(file) = ASSETS.iter().find(|file| file.name == name) else {
        return Err(Problem::not_found(format!("there is no file {name}")));
    };
    let reply = file.reply(request)?;
    match request.param("version") == VERSION {
        true => Ok(reply.header("cache-control", FOR_EVER)),
        false => Ok(reply),
    }
}

fn page(request: &Request, file: &'static File) -> Result<Reply, Problem> {
    Ok(file.reply(request)?.header("content-security-policy", POLICY))
}
