//! Detects the optional programs of the tests.

fn main() {
    test_tools::detect(&[test_tools::PYTHON]);
}
