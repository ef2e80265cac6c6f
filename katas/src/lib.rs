//! The katas themselves: rules without HTTP, SQL or a clock, for services and pipelines alike.

mod amount;
mod nth_char;
mod order;
mod spending;
mod text;

pub use amount::{Amount, Inexact};
pub use nth_char::{NthChar, nth_char};
pub use order::{Name, Order, Source};
pub use spending::{Bill, Line, Prices};
pub use text::{Flaw, name, text};
