//! The dictionary's contract.

mod v1;
mod v2;
