//! Between HTTP and the rules, a module per resource.

pub mod price_lists;
pub mod receipts;
pub mod spending;
