//! Components that were built as core modules for wasm32-wasip1, as Spin's templates do.

use std::fs;
use std::sync::Arc;

use katas_host::local::build;
use katas_host::manifest::Manifest;

use crate::support::{App, root};

#[test]
#[cfg_attr(not(has_wasip1), ignore = "the target wasm32-wasip1 is not installed")]
fn module_for_wasip1_is_built_and_served() {
    let folder = tempfile::tempdir().expect("a directory");
    let manifest = folder.path().join("spin.toml");
    let root = root();
    let text = format!(
        "spin_manifest_version = 2\n\
         [application]\nname = \"module\"\n\
         [variables]\n\
         database_url = {{ required = true }}\n\
         database_host = {{ required = true }}\n\
         [[trigger.http]]\nroute = \"/...\"\ncomponent = \"health\"\n\
         [component.health]\n\
         source = {:?}\n\
         [component.health.build]\n\
         command = \"cargo build --locked --release --target wasm32-wasip1 -p health\"\n\
         workdir = {root:?}\n",
        root.join("target/wasm32-wasip1/release/health.wasm")
    );
    fs::write(&manifest, text).expect("the file is writable");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let application = Manifest::read(&manifest).expect("the manifest is valid");
    runtime.block_on(build::components(&application, &|_, _| ())).expect("the module is built");
    let app = katas_host::App::load(&manifest).expect("the module is converted and linked");
    let app = App::of(Arc::new(app), "postgres");
    assert_eq!(app.get("/health").status, 200);
}
