//! Detects the optional programs that tests need.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    test_tools::detect(&[
        test_tools::CHROMIUM,
        test_tools::KUBECTL,
        test_tools::OPENAPI,
        test_tools::SPIN,
    ]);
    test_tools::detect_target("has_wasip1", "wasm32-wasip1");
}
