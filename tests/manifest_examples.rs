//! The example calls in `spin.toml`, which `katas examples` prints.

use katas_host::manifest::Manifest;
use serde_json::Value;

use crate::support::{App, root};

#[test]
fn examples_in_manifest_order_return_the_documented_status() {
    let app = App::start();
    let manifest = Manifest::read(&root().join("spin.toml")).expect("the manifest is valid");
    let mut calls = 0;
    for component in manifest.component.values() {
        for example in component.examples() {
            let response = app.call(example);
            assert_eq!(response.status, example.status, "{example:?} {response:?}");
            if response.header("content-type") == "application/json" {
                serde_json::from_str::<Value>(&response.body).expect("JSON");
            }
            calls += 1;
        }
    }
    assert!(calls > 0);
}

#[test]
fn every_route_has_an_example() {
    let manifest = Manifest::read(&root().join("spin.toml")).expect("the manifest is valid");
    let routes =
        katas_host::local::up::routes(&manifest, "http://h").expect("the routes are valid");
    for block in routes.split("\n\n") {
        assert!(block.contains("curl "), "no example: {block}");
    }
}
