//! Business rules of the katas. They depend on neither HTTP, SQL nor a clock.

mod amount;
mod date;
mod integer;
mod nth_char;
mod price_list;
mod spending;
mod text;

pub use amount::{Amount, AmountError};
pub use date::{InvalidDate, date};
pub use integer::{OutOfRange, within};
pub use nth_char::{NthChar, nth_char};
pub use price_list::{PriceListName, Prices};
pub use spending::{Bill, Line};
pub use text::{TextError, name, text};
