//! The component to generate: its name, its id and its fields.

use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use serde::Serialize;

/// The maximum length of a name: the smoke test puts it into the names of its test data.
const MAX_NAME: usize = 24;

/// Returns the maximum length of a name that the smoke test gives its data: `smoke-`, eight digits,
/// and the name of the check.
pub(crate) fn smoke_name(check: &str) -> i64 {
    i64::try_from("smoke-12345678-".len() + check.len()).unwrap_or(i64::MAX)
}

/// A component to generate.
#[derive(Debug, PartialEq, Serialize)]
pub struct Component {
    /// The name of the crate and the last segment of its path: `price-lists`.
    pub name: String,
    /// The name as an identifier: `price_lists`.
    pub ident: String,
    /// One resource, in words: `price list`.
    pub item: String,
    /// One resource with its article: `an entry`.
    pub an_item: String,
    /// One resource, as an identifier and the name of the table: `price_list`.
    pub table: String,
    /// The type of a resource: `PriceList`.
    pub item_type: String,
    /// The resources, in words: `price lists`.
    pub items: String,
    /// The description of the component in the manifest.
    pub description: String,
    /// The kind of id. `None` for a component without a database.
    pub id: Option<Id>,
    /// The fields of a resource, without the id.
    pub fields: Vec<Field>,
    /// The field that is the id, if any.
    pub key: Option<Field>,
}

/// How a resource gets its id.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Id {
    /// A random UUID, assigned by the database.
    Uuid,
    /// A number, assigned by the database.
    Bigint,
    /// A field, chosen by the client.
    Field,
}

/// A field of a resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Field {
    /// The name in JSON and SQL: `due_on`.
    pub name: String,
    /// The name in words: `due on`.
    pub words: String,
    /// The Rust type of its values, for kinds with a rule: `DueOn`.
    pub new_type: Option<String>,
    /// The type of its values.
    pub kind: Kind,
    /// The minimum length of a text, or the minimum of a number.
    pub min: Option<i64>,
    /// The maximum length of a text, or the maximum of a number.
    pub max: Option<i64>,
    /// The decimal places of a decimal number with a range, and the last places of `min` and `max`:
    /// with two places, a `max` of 99999 is 999.99.
    pub places: Option<usize>,
    /// Whether the field may be absent or null.
    pub optional: bool,
    /// The value of an absent field, as JSON.
    pub default: Option<String>,
    /// A valid value, as JSON.
    pub example: String,
    /// Another valid value, as JSON.
    pub other: String,
}

/// The type of the values of a field.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Unicode text with a maximum length.
    Text,
    /// True or false.
    Bool,
    /// A 64-bit integer.
    Int,
    /// A non-negative decimal number.
    Decimal,
    /// A calendar date.
    Date,
    /// A point in time.
    Timestamp,
}

impl Component {
    /// Creates a component. `id` is `uuid`, `bigint` or the name of a field; `None` stands for a
    /// component without a database.
    pub fn new(
        name: &str,
        item: Option<&str>,
        description: Option<&str>,
        id: Option<&str>,
        mut fields: Vec<Field>,
    ) -> anyhow::Result<Component> {
        check_name("name", name, '-')?;
        ensure!(name.len() <= MAX_NAME, "the name {name} has more than {MAX_NAME} characters");
        let items = name.replace('-', " ");
        let ident = name.replace('-', "_");
        let table = item.map_or_else(|| singular(&ident), str::to_owned);
        check_name("item", &table, '_')?;
        let item = table.replace('_', " ");
        ensure!(
            !fields.is_empty(),
            "no fields; add --field, for example --field title:text:1..200"
        );
        for (index, field) in fields.iter().enumerate() {
            let is_repeated = fields[..index].iter().any(|other| other.name == field.name);
            ensure!(!is_repeated, "field {} is repeated", field.name);
            let clashes = field.name == table || field.name == ident;
            ensure!(
                !clashes,
                "field {} has the name of the resource; use another, or --item",
                field.name
            );
        }
        let (id, key) = match id {
            None => (None, None),
            Some("uuid") => (Some(Id::Uuid), None),
            Some("bigint") => (Some(Id::Bigint), None),
            Some(name) => (Some(Id::Field), Some(take_key(&mut fields, name)?)),
        };
        if let Some(key) = &key {
            let needed = smoke_name(name);
            ensure!(
                key.max >= Some(needed),
                "the id {} needs at least {needed} characters, for the names of the smoke test",
                key.name
            );
        }
        Ok(Component {
            name: name.to_owned(),
            an_item: format!("{} {item}", article(&item)),
            item,
            item_type: pascal(&table),
            description: description
                .map_or_else(|| describe(&items, key.iter().chain(&fields)), str::to_owned),
            ident,
            table,
            items,
            id,
            fields,
            key,
        })
    }
}

/// Describes the resources by their fields: "Notes with title and body".
fn describe<'f>(items: &str, fields: impl Iterator<Item = &'f Field>) -> String {
    let mut words: Vec<_> = fields.map(|field| field.words.as_str()).collect();
    let last = words.pop().unwrap_or_default();
    let list =
        if words.is_empty() { last.to_owned() } else { format!("{} and {last}", words.join(", ")) };
    format!("{} with {list}", upper_first(items))
}

/// Removes the field that is the id from the list.
fn take_key(fields: &mut Vec<Field>, name: &str) -> anyhow::Result<Field> {
    let position = fields.iter().position(|field| field.name == name);
    let position = position
        .with_context(|| format!("--id {name}: not uuid, bigint or the name of a field"))?;
    let field = fields.remove(position);
    let is_key = field.kind == Kind::Text && field.min == Some(1) && !field.optional;
    ensure!(is_key, "--id {name}: the field must be a required text, such as {name}:text:1..200");
    ensure!(!fields.is_empty(), "--id {name}: add another field");
    Ok(field)
}

impl FromStr for Field {
    type Err = anyhow::Error;

    /// Parses `name:type[:min..max][?][=default]`.
    fn from_str(text: &str) -> anyhow::Result<Field> {
        let (definition, default) = match text.split_once('=') {
            Some((definition, default)) => (definition, Some(default)),
            None => (text, None),
        };
        let (definition, optional) = match definition.strip_suffix('?') {
            Some(required) => (required, true),
            None => (definition, false),
        };
        let mut parts = definition.splitn(3, ':');
        let (Some(name), Some(kind)) = (parts.next(), parts.next()) else {
            bail!("{text}: expected name:type, for example title:text:1..200");
        };
        check_name("field", name, '_')?;
        let range = parts.next().map(|range| Range::parse(text, range)).transpose()?;
        let kind = Kind::parse(text, kind)?;
        kind.check_range(text, range)?;
        let (min, max) = (range.map(|range| range.min), range.map(|range| range.max));
        ensure!(
            default.is_none() || !optional,
            "{text}: a field is either optional or has a default"
        );
        if let Some(default) = default {
            kind.check_default(text, default, (min, max))?;
        }
        let has_rule = !matches!(kind, Kind::Bool | Kind::Int) || min.is_some();
        Ok(Field {
            words: name.replace('_', " "),
            new_type: has_rule.then(|| pascal(name)),
            example: kind.example(range, false),
            other: kind.example(range, true),
            name: name.to_owned(),
            default: default.map(str::to_owned),
            kind,
            min,
            max,
            places: range.map(|range| range.places).filter(|places| *places > 0),
            optional,
        })
    }
}

impl Kind {
    fn parse(field: &str, kind: &str) -> anyhow::Result<Kind> {
        match kind {
            "text" => Ok(Kind::Text),
            "bool" => Ok(Kind::Bool),
            "int" => Ok(Kind::Int),
            "decimal" => Ok(Kind::Decimal),
            "date" => Ok(Kind::Date),
            "timestamp" => Ok(Kind::Timestamp),
            _ => bail!(
                "{field}: unknown type {kind}; the types are text:MIN..MAX, bool, int, int:MIN..MAX, decimal, decimal:MIN..MAX, date, timestamp"
            ),
        }
    }

    /// Checks the range of a field of this type.
    fn check_range(self, field: &str, range: Option<Range>) -> anyhow::Result<()> {
        match (self, range) {
            (Kind::Text, Some(Range { min: 0..=1, max: 8..=10_000, places: 0 })) => Ok(()),
            (Kind::Text, _) => {
                bail!(
                    "{field}: a text has a range of 0 or 1 to between 8 and 10000 characters, for example text:1..200"
                )
            }
            (_, None) => Ok(()),
            (Kind::Int, Some(Range { min, max, places })) => {
                // PostgreSQL writes other constants with a cast, and db/schema.sql shows them so.
                let is_int4 = min >= 0 && max <= i64::from(i32::MAX) && min < max && places == 0;
                ensure!(
                    is_int4,
                    "{field}: the range of an integer begins at 0 or above and ends at {} or below",
                    i32::MAX
                );
                Ok(())
            }
            (Kind::Decimal, Some(Range { min, max, places })) => {
                // Without a decimal point, db/schema.sql would show a cast from an integer.
                ensure!(
                    min >= 0 && min < max && places > 0,
                    "{field}: the range of a decimal begins at 0 or above, and its ends have equally many decimal places, for example decimal:0.00..999.99"
                );
                Ok(())
            }
            (_, Some(_)) => bail!("{field}: only text, int and decimal have a range"),
        }
    }

    fn check_default(
        self,
        field: &str,
        default: &str,
        (min, max): (Option<i64>, Option<i64>),
    ) -> anyhow::Result<()> {
        let is_valid = match self {
            Kind::Bool => ["true", "false"].contains(&default),
            Kind::Int => default.parse::<i64>().is_ok_and(|number| {
                default == number.to_string()
                    && number >= min.unwrap_or(0)
                    && number <= max.unwrap_or(i64::from(i32::MAX))
            }),
            Kind::Text | Kind::Decimal | Kind::Date | Kind::Timestamp => {
                bail!("{field}: only bool and int have a default; use ? for an optional field")
            }
        };
        ensure!(is_valid, "{field}: {default} is not a valid default");
        Ok(())
    }

    /// Returns one of two valid values as JSON.
    fn example(self, range: Option<Range>, other: bool) -> String {
        let number = range.map(|range| if other { range.max } else { range.min });
        match (self, other) {
            (Kind::Text, false) => "\"First\"".to_owned(),
            (Kind::Text, true) => "\"Second\"".to_owned(),
            (Kind::Bool, _) => (!other).to_string(),
            (Kind::Int, _) => number.unwrap_or(if other { 2 } else { 1 }).to_string(),
            (Kind::Decimal, _) => match (range, number) {
                (Some(range), Some(number)) => format!("\"{}\"", decimal(number, range.places)),
                _ if other => "\"0.125\"".to_owned(),
                _ => "\"12.50\"".to_owned(),
            },
            // In the future, for rules such as "not before today".
            (Kind::Date, false) => "\"2099-01-31\"".to_owned(),
            (Kind::Date, true) => "\"2099-02-28\"".to_owned(),
            (Kind::Timestamp, false) => "\"2099-01-31T09:30:00.000000Z\"".to_owned(),
            (Kind::Timestamp, true) => "\"2099-02-28T18:00:00.123456Z\"".to_owned(),
        }
    }
}

/// The ends of a range as numbers of their last decimal place.
#[derive(Clone, Copy)]
struct Range {
    min: i64,
    max: i64,
    places: usize,
}

impl Range {
    /// Parses two numbers with equally many decimal places: `1..200`, `0.00..999.99`.
    fn parse(field: &str, range: &str) -> anyhow::Result<Range> {
        let end = |text: &str| {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            Some(((whole.to_owned() + fraction).parse().ok()?, fraction.len()))
        };
        let ends = range.split_once("..").and_then(|(min, max)| Some((end(min)?, end(max)?)));
        match ends {
            Some(((min, places), (max, max_places))) if places == max_places => {
                Ok(Range { min, max, places })
            }
            _ => bail!("{field}: {range} is not a range such as 1..200 or 0.00..999.99"),
        }
    }
}

/// Formats a number of the last of `places` decimal places: 99999 with two places is 999.99.
pub(crate) fn decimal(number: i64, places: usize) -> String {
    let digits = format!("{number:0width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    format!("{whole}.{fraction}")
}

/// Checks that a name consists of lower-case words and can be used in SQL, Rust and URLs.
fn check_name(what: &str, name: &str, separator: char) -> anyhow::Result<()> {
    let is_word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    ensure!(
        name.split(separator).all(is_word) && name.len() <= 40,
        "invalid {what} {name:?}; use lower-case words of letters and digits, separated by {separator}"
    );
    let lines = include_str!("reserved.txt").lines().filter(|line| !line.starts_with('#'));
    let mut reserved = lines.flat_map(str::split_whitespace);
    let ident = name.replace('-', "_");
    ensure!(!reserved.any(|word| word == ident), "{what} {name} is a reserved word; use another");
    Ok(())
}

/// Returns the indefinite article of an English noun, by its first letter.
fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

/// Returns the singular of an English noun with a regular plural.
fn singular(plural: &str) -> String {
    match plural.strip_suffix("ies") {
        Some(stem) if !stem.is_empty() => format!("{stem}y"),
        _ => match plural.strip_suffix('s') {
            Some(stem) if !stem.ends_with('s') && !stem.is_empty() => stem.to_owned(),
            _ => plural.to_owned(),
        },
    }
}

/// Returns an identifier as a type name: `due_on` as `DueOn`.
pub(crate) fn pascal(ident: &str) -> String {
    ident.split('_').map(upper_first).collect()
}

pub(crate) fn upper_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(text: &str) -> anyhow::Result<Field> {
        text.parse()
    }

    fn component(name: &str, id: Option<&str>, fields: &[&str]) -> anyhow::Result<Component> {
        let fields = fields.iter().map(|text| field(text)).collect::<Result<_, _>>()?;
        Component::new(name, None, None, id, fields)
    }

    #[test]
    fn names_of_a_component_are_derived_from_its_name() {
        let component = component("price-notes", Some("uuid"), &["due_on:date?"]).unwrap();
        let names = [component.ident, component.item, component.table, component.item_type];
        assert_eq!(names, ["price_notes", "price note", "price_note", "PriceNote"]);
        assert_eq!(
            (component.items.as_str(), component.description.as_str()),
            ("price notes", "Price notes with due on")
        );
        assert_eq!(component.fields[0].new_type.as_deref(), Some("DueOn"));
        for (plural, expected) in
            [("entries", "entry"), ("glass", "glass"), ("sheep", "sheep"), ("s", "s")]
        {
            assert_eq!(singular(plural), expected);
        }
    }

    #[test]
    fn field_has_type_range_and_default() {
        let title = field("title:text:1..200").unwrap();
        assert_eq!((title.min, title.max, title.optional), (Some(1), Some(200), false));
        assert!(field("note:text:0..2000?").unwrap().optional);
        assert_eq!(field("pinned:bool=false").unwrap().default.as_deref(), Some("false"));
        assert_eq!(field("rank:int:1..5=3").unwrap().new_type.as_deref(), Some("Rank"));
        assert_eq!(field("count:int").unwrap().new_type, None);
        let price = field("price:decimal:0.05..999.99?").unwrap();
        assert_eq!((price.min, price.max, price.places), (Some(5), Some(99_999), Some(2)));
        assert_eq!((price.example.as_str(), price.other.as_str()), ("\"0.05\"", "\"999.99\""));
        assert_eq!(field("weight:decimal").unwrap().places, None);
        assert_eq!(field("starts_at:timestamp").unwrap().new_type.as_deref(), Some("StartsAt"));
    }

    #[test]
    fn invalid_field_is_rejected_with_the_remedy() {
        for (text, message) in [
            ("title", "expected name:type"),
            ("title:string", "unknown type string; the types are"),
            ("title:text", "for example text:1..200"),
            ("title:text:5..200", "for example text:1..200"),
            ("title:text:1..a", "1..a is not a range"),
            ("title:text:1.0..200.0", "for example text:1..200"),
            ("pinned:bool:1..2", "only text, int and decimal have a range"),
            ("begins_at:timestamp:1..2", "only text, int and decimal have a range"),
            ("rank:int:5..1", "the range of an integer"),
            ("rank:int:0.5..1.5", "the range of an integer"),
            ("price:decimal:1..5", "for example decimal:0.00..999.99"),
            ("price:decimal:5.0..1.0", "for example decimal:0.00..999.99"),
            ("price:decimal:-1.0..1.0", "for example decimal:0.00..999.99"),
            ("price:decimal:0..9.99", "0..9.99 is not a range"),
            ("price:decimal=1.0", "only bool and int have a default"),
            ("rank:int:1..5=9", "9 is not a valid default"),
            ("title:text:1..9=x", "only bool and int have a default"),
            ("pinned:bool?=true", "either optional or has a default"),
            ("Title:text:1..9", "invalid field \"Title\""),
            ("a-b:bool", "invalid field \"a-b\""),
            ("order:int", "order is a reserved word"),
            ("type:int", "type is a reserved word"),
            ("limit:int", "limit is a reserved word"),
        ] {
            let error = field(text).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn invalid_component_is_rejected_with_the_reason() {
        for (name, id, fields, message) in [
            ("Notes", None, &["a:bool"][..], "invalid name \"Notes\""),
            ("notes_x", None, &["a:bool"], "invalid name"),
            ("-notes", None, &["a:bool"], "invalid name"),
            ("web", None, &["a:bool"], "web is a reserved word"),
            ("a-very-long-component-name", None, &["a:bool"], "more than 24 characters"),
            ("notes", None, &[], "no fields"),
            ("notes", None, &["a:bool", "a:int"], "field a is repeated"),
            ("notes", None, &["note:bool"], "has the name of the resource"),
            (
                "notes",
                Some("slug"),
                &["a:bool"],
                "--id slug: not uuid, bigint or the name of a field",
            ),
            ("notes", Some("a"), &["a:bool"], "must be a required text"),
            ("notes", Some("a"), &["a:text:1..99"], "add another field"),
            ("notes", Some("a"), &["a:text:1..9", "b:bool"], "needs at least 20 characters"),
        ] {
            let error = component(name, id, fields).unwrap_err().to_string();
            assert!(error.contains(message), "{name}: {error}");
        }
    }
}
