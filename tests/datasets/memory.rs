//! The memory that a load or an export uses does not depend on the size of the file.

use super::{create_dataset, export};
use crate::support::App;

/// Returns a CSV file of about `length` bytes with rows of up to a kilobyte.
fn csv_bytes(length: usize) -> String {
    let mut file = String::with_capacity(length + 2000);
    file.push_str("number,text\n");
    for number in 0.. {
        file += &format!("{number},\"{}\"\n", "text, ".repeat(number % 170));
        if file.len() >= length {
            break;
        }
    }
    file
}

#[test]
fn memory_does_not_depend_on_the_size_of_the_file() {
    let app = App::start();
    let load_and_read = |length| {
        let path = create_dataset(&app, csv_bytes(length));
        let exported = export(&app, &path);
        assert_eq!(app.get(&path).json()["bytes"], exported.body.len());
        app.peak_memory("datasets")
    };
    let Some(one) = load_and_read(1_000_000) else { return };
    let sixty = load_and_read(60_000_000).expect("the host reports memory");
    println!("{one} bytes of memory for 1 MB, {sixty} for 60 MB");
    assert!(sixty < 2 << 20, "{sixty}");
}
