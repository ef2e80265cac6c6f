//! Generates `files.rs`: the embedded files, compressed, and the OpenAPI document, merged from the
//! parts of all components and converted to JSON.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
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
    // The manifest changes when a component is added.
    for path in ["page", "swagger", "vendor", "../../spin.toml"] {
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

/// Returns the OpenAPI document as JSON: `openapi.yaml` with the parts of the other components and
/// the version of this crate.
fn openapi() -> Result<Vec<u8>, Box<dyn Error>> {
    let mut document = read_yaml(Path::new("openapi.yaml"))?;
    document["info"]["version"] = env::var("CARGO_PKG_VERSION")?.into();
    let components = fs::read_dir("..")?.collect::<Result<Vec<_>, _>>()?;
    let mut parts: Vec<_> = components.iter().map(|it| it.path().join("openapi.yaml")).collect();
    parts.retain(|part| part.exists() && !part.starts_with("../docs"));
    parts.sort();
    for part in parts {
        merge(&mut document, &read_yaml(&part)?)
            .map_err(|error| format!("{}: {error}", part.display()))?;
    }
    Ok(serde_json::to_vec(&document)?)
}

fn read_yaml(path: &Path) -> Result<Value, Box<dyn Error>> {
    println!("cargo:rerun-if-changed={}", path.display());
    let text = fs::read_to_string(path)?;
    serde_saphyr::from_str(&text).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Adds the tags, paths and components of a part to a document. A path or a component belongs to one
/// part.
fn merge(document: &mut Value, part: &Value) -> Result<(), String> {
    let tags = part["tags"].as_array().ok_or("tags are missing")?;
    document["tags"].as_array_mut().ok_or("no tags to extend")?.extend(tags.iter().cloned());
    insert(&mut document["paths"], &part["paths"])?;
    for (kind, members) in part["components"].as_object().into_iter().flatten() {
        insert(&mut document["components"][kind], members)?;
    }
    Ok(())
}

fn insert(existing: &mut Value, members: &Value) -> Result<(), String> {
    let existing = existing.as_object_mut().ok_or("components of an unknown kind")?;
    for (name, member) in members.as_object().into_iter().flatten() {
        if existing.insert(name.clone(), member.clone()).is_some() {
            return Err(format!("{name} belongs to another part"));
        }
    }
    Ok(())
}

/// Returns the first 8 bytes of the SHA-256 digest in hexadecimal.
fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn out_dir() -> Result<PathBuf, env::VarError> {
    env::var("OUT_DIR").map(PathBuf::from)
}
