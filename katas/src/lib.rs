//! The katas themselves: rules without HTTP, SQL or a clock, for services and pipelines alike.

mod amount;
mod nth_char;
mod order;
mod spending;

pub use amount::{Amount, Inexact};
pub use nth_char::{NthChar, nth_char};
pub use order::{Flaw, Name, Order, Source};
pub use spending::{Bill, Line, Prices};
