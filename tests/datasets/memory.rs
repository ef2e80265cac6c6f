//! How much memory a load takes: the same, however long the file is.

use super::{file, loaded};
use crate::support::App;

/// A file of about so many bytes, with rows of every length up to a kilobyte.
fn bytes(length: usize) -> String {
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
fn sixty_megabytes_take_no_more_memory_than_one() {
    let app = App::start();
    let load_and_read = |length| {
        let path = loaded(&app, bytes(length));
        let back = file(&app, &path);
        assert_eq!(app.get(&path).json()["bytes"], back.body.len());
        app.peak_memory("datasets")
    };
    let Some(one) = load_and_read(1_000_000) else { return };
    let sixty = load_and_read(60_000_000).expect("it was told before");
    println!("{one} bytes of memory for 1 MB, {sixty} for 60 MB");
    assert!(one < 4 << 20, "{one}");
    assert!(sixty < one + (1 << 20), "{sixty} after {one}");
}
