//! Detects the optional programs of the tests.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    test_tools::detect(&[test_tools::CHROMIUM, test_tools::KUBECTL, test_tools::SPIN]);
}
