//! Detects the optional programs that tests need.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    test_tools::detect(&[
        test_tools::CHROMIUM,
        test_tools::KUBECTL,
        test_tools::OPENAPI,
        test_tools::PYTHON,
        test_tools::SPIN,
    ]);
    test_tools::detect_target("has_wasip1", "wasm32-wasip1");
    // A test changes the cluster of the current context only on request.
    println!("cargo::rerun-if-env-changed=CHECK_CLUSTER");
    println!("cargo::rustc-check-cfg=cfg(has_cluster)");
    if std::env::var_os("CHECK_CLUSTER").is_some() {
        println!("cargo::rustc-cfg=has_cluster");
    }
}
