//! The rules of the katas, without HTTP, SQL or a clock.

mod amount;
mod nth_char;
mod price_list;
mod spending;
mod text;

pub use amount::{Amount, AmountError};
pub use nth_char::{NthChar, nth_char};
pub use price_list::{PriceListName, Prices};
pub use spending::{Bill, Line};
pub use text::{TextError, name, text};
