//! The prices that are stored in `katas.price_list`.

use katas::{Name, Prices};
use pg::{Db, text};

/// The prices in the list of this name, `None` when there is none.
pub fn prices(db: &Db, name: &Name) -> Result<Option<Prices>, pg::Error> {
    const SQL: &str = "SELECT costs FROM katas.price_list WHERE name = $1";
    db.one(SQL, &[text(name.as_str())])
}
