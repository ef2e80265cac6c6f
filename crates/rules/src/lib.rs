//! Business rules of the katas. They depend on neither HTTP, SQL nor a clock.

mod amount;
mod date;
mod decimal;
mod integer;
mod nth_char;
mod price_list;
mod spending;
mod text;
mod timestamp;

pub use amount::{Amount, AmountError};
pub use date::{InvalidDate, date};
pub use decimal::{DecimalError, decimal, decimal_within};
pub use integer::{OutOfRange, within};
pub use nth_char::{NthChar, nth_char};
pub use price_list::{PriceListName, Prices};
pub use spending::{Bill, Line};
pub use text::{TextError, name, text};
pub use timestamp::{InvalidTimestamp, timestamp};
