//! Generates `files.rs`: the embedded files, compressed, and the OpenAPI document converted to
//! JSON.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::{env, fs};

use flate2::{Compression, write::GzEncoder};
use serde_json::Value;
use sha2::{Digest, Sha256};

const CSS: &str = "text/css; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const JSON: &str = "application/json";
const SVG: &str = "image/svg+xml";
const TEXT: &str = "text/plain; charset=utf-8";

/// The files that the pages load, served at `/docs/<version>/<file name>`, with their media types.
const ASSETS: [(&str, &str); 9] = [
    ("page/http.js", JAVASCRIPT),
    ("page/icon.svg", SVG),
    ("page/operations.js", JAVASCRIPT),
    ("page/page.css", CSS),
    ("page/page.js", JAVASCRIPT),
    ("swagger/start.js", JAVASCRIPT),
    ("vendor/swagger-ui/swagger-ui-bundle.js", JAVASCRIPT),
    ("vendor/swagger-ui/swagger-ui-bundle.js.LICENSE.txt", TEXT),
    ("vendor/swagger-ui/swagger-ui.css", CSS),
];

/// The pages, with their constants in `files.rs`. `{{version}}` in a page is replaced by the
/// version of the assets.
const PAGES: [(&str, &str); 2] =
    [("PLAYGROUND", "page/page.html"), ("SWAGGER_UI", "swagger/swagger.html")];

fn main() -> Result<(), Box<dyn Error>> {
    for path in ["openapi.yaml", "page", "swagger", "vendor"] {
        println!("cargo:rerun-if-changed={path}");
    }
    let mut assets = Vec::new();
    for (path, media_type) in ASSETS {
        assets.push((path, media_type, fs::read(path)?));
    }
    let all: Vec<u8> = assets.iter().flat_map(|(_, _, bytes)| bytes).copied().collect();
    let version = digest(&all);

    let mut code = format!("pub const VERSION: &str = {version:?};\n");
    writeln!(code, "pub static OPENAPI: File = {};", embed("openapi.json", JSON, &openapi()?)?)?;
    for (constant, path) in PAGES {
        let html = fs::read_to_string(path)?.replace("{{version}}", &version);
        writeln!(code, "pub static {constant}: File = {};", embed(path, HTML, html.as_bytes())?)?;
    }
    writeln!(code, "pub static ASSETS: [File; {}] = [", ASSETS.len())?;
    for (path, media_type, bytes) in assets {
        writeln!(code, "    {},", embed(path, media_type, &bytes)?)?;
    }
    code += "];\n";
    fs::write(out_dir()?.join("files.rs"), code)?;
    Ok(())
}

/// Compresses a file into `OUT_DIR`. Returns the `File` expression that includes it.
fn embed(path: &str, media_type: &str, bytes: &[u8]) -> Result<String, Box<dyn Error>> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    let compressed = out_dir()?.join(format!("{name}.gz"));
    fs::write(&compressed, encoder.finish()?)?;
    Ok(format!(
        "File {{ name: {name:?}, media_type: {media_type:?}, tag: {:?}, length: {}, \
         gzip: include_bytes!({compressed:?}) }}",
        digest(bytes),
        bytes.len(),
    ))
}

/// Returns `openapi.yaml` as JSON, with the version of this crate.
fn openapi() -> Result<Vec<u8>, Box<dyn Error>> {
    let mut document: Value = serde_saphyr::from_str(&fs::read_to_string("openapi.yaml")?)?;
    document["info"]["version"] = env::var("CARGO_PKG_VERSION")?.into();
    Ok(serde_json::to_vec(&document)?)
}

/// Returns the first 8 bytes of the SHA-256 digest in hexadecimal.
fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn out_dir() -> Result<PathBuf, env::VarError> {
    env::var("OUT_DIR").map(PathBuf::from)
}
