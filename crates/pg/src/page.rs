//! Keyset pages: the rows after a key, in the order of that key.

use serde_json::value::RawValue;

/// A page of a list.
pub struct Page<K> {
    /// A JSON array.
    pub items: Box<RawValue>,
    /// The key of the last item, `None` on the last page.
    pub last: Option<K>,
}

/// The parts of the statement that [`page!`](crate::page!) composes. Between them stand the key, the
/// columns, the rows, and the key again. `$1` is the maximum number of items.
pub const PAGE: [&str; 5] = [
    "WITH found AS (SELECT ",
    " AS key, (SELECT item FROM (SELECT ",
    ") AS item) AS item FROM ",
    " ORDER BY ",
    " LIMIT $1::int8 + 1), page AS (SELECT key, item FROM found ORDER BY key LIMIT $1::int8) \
     SELECT coalesce(json_agg(item ORDER BY key), '[]')::text, \
            CASE WHEN count(*) < (SELECT count(*) FROM found) \
                 THEN (SELECT key FROM page ORDER BY key DESC LIMIT 1) END \
     FROM page",
];

/// Composes the statement of a keyset page, for [`Db::page`](crate::Db::page), from three string
/// constants: the columns of an item, the rows after the previous page (what follows `FROM`), and
/// the key.
///
/// The parameter `$1` is the maximum number of items; the others belong to the condition on the
/// rows. The statement reads one row more than the page has, to detect the last page. The key is
/// unique, and a column of the rows, but not necessarily of the item.
///
/// ```
/// const SQL: &str = pg::page!("id, username", "katas.person WHERE id > $2", "id");
/// ```
#[macro_export]
macro_rules! page {
    ($columns:expr, $rows:expr, $key:expr) => {
        $crate::const_format::concatcp!(
            $crate::PAGE[0],
            $key,
            $crate::PAGE[1],
            $columns,
            $crate::PAGE[2],
            $rows,
            $crate::PAGE[3],
            $key,
            $crate::PAGE[4]
        )
    };
}
