//! The price lists' table, `katas.price_list`.

use json::{FromObject, Object};
use katas::{Name, Prices};
use pg::{Db, Page, int8, text};

/// The columns of a price list as clients see it.
macro_rules! price_list {
    () => {
        " name, costs, katas.rfc3339(created_at) AS created_at, \
          katas.rfc3339(updated_at) AS updated_at "
    };
}

/// A price list that has been written.
pub struct Put {
    /// Whether there was none before.
    pub created: bool,
    /// It as a JSON object.
    pub price_list: String,
}

impl FromObject for Put {
    fn from_object(row: &mut Object) -> Option<Put> {
        Some(Put { created: row.required("created")?, price_list: row.required("price_list")? })
    }
}

/// Creates or replaces a price list.
pub fn put(db: &Db, name: &Name, prices: &Prices) -> Result<Put, pg::Error> {
    const SQL: &str = concat!(
        "INSERT INTO katas.price_list (name, costs) VALUES ($1, $2::text::json) \
         ON CONFLICT ON CONSTRAINT price_list_pkey DO UPDATE \
         SET costs = excluded.costs, version = price_list.version + 1, \
             updated_at = greatest(price_list.updated_at, now()) \
         RETURNING version = 1 AS created, \
                   (SELECT row_to_json(r)::text FROM (SELECT",
        price_list!(),
        ") r) AS price_list"
    );
    db.one(SQL, &[text(name.as_str()), text(&prices.text())])?
        .ok_or_else(|| pg::Error::Other("an INSERT returned no row".to_owned()))
}

/// The price list of this name as a JSON object, `None` when there is none.
pub fn find(db: &Db, name: &Name) -> Result<Option<String>, pg::Error> {
    const SQL: &str = concat!("SELECT", price_list!(), "FROM katas.price_list WHERE name = $1");
    db.row(SQL, &[text(name.as_str())])
}

/// Whether there was a price list to remove.
pub fn remove(db: &Db, name: &Name) -> Result<bool, pg::Error> {
    const SQL: &str = "DELETE FROM katas.price_list WHERE name = $1 RETURNING 1";
    Ok(db.execute(SQL, &[text(name.as_str())])? == 1)
}

/// Up to `limit` price lists by name, after the one named `after`.
pub fn page(db: &Db, after: Option<&str>, limit: i64) -> Result<Page<String>, pg::Error> {
    const SQL: &str = "WITH found AS ( \
             SELECT name, katas.rfc3339(created_at) AS created_at, \
                    katas.rfc3339(updated_at) AS updated_at \
             FROM katas.price_list WHERE name > $1 ORDER BY name LIMIT $2::int8 + 1 \
         ), page AS (SELECT * FROM found ORDER BY name LIMIT $2::int8) \
         SELECT coalesce(json_agg(page ORDER BY name), '[]') AS items, \
                CASE WHEN count(*) < (SELECT count(*) FROM found) THEN max(name) END AS last \
         FROM page";
    // No name is empty: all of them come after the empty one.
    db.page(SQL, &[text(after.unwrap_or_default()), int8(limit)])
}
