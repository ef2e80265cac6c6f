//! Parses JSON request bodies and reports all invalid fields, each by its JSON pointer.
//!
//! A body is one JSON object. Its type implements [`FromFields`], which reads each field and
//! applies the rule of the domain, if any:
//!
//! ```
//! use json::{Fields, FromFields};
//!
//! struct Person {
//!     name: String,
//!     age: Option<i64>,
//! }
//!
//! fn name(text: String) -> Result<String, &'static str> {
//!     if text.is_empty() { Err("must not be empty") } else { Ok(text) }
//! }
//!
//! impl FromFields for Person {
//!     fn from_fields(fields: &mut Fields) -> Option<Person> {
//!         let name = fields.parse("name", name);
//!         let age = fields.optional("age");
//!         Some(Person { name: name?, age: age? })
//!     }
//! }
//!
//! let person: Person = json::from_slice(br#"{"name":"Ada"}"#).unwrap();
//! assert_eq!((person.name.as_str(), person.age), ("Ada", None));
//!
//! let result = json::from_slice::<Person>(br#"{"age":"old"}"#);
//! let Err(json::Error::Invalid(errors)) = result else { panic!() };
//! let detail = |index: usize| (errors[index].pointer.as_str(), errors[index].detail.as_str());
//! assert_eq!(detail(0), ("/name", "is required"));
//! assert_eq!(detail(1), ("/age", "must be an integer"));
//! ```
//!
//! The parser is `serde_json`. A derived `Deserialize` would stop at the first error, so the object
//! is first split into raw values, which are then parsed one by one. A [`Number`] keeps its digits,
//! because a binary float would lose some.
//!
//! A duplicate field is an error, and so is an unknown field unless
//! [`FromFields::ALLOW_UNKNOWN_FIELDS`] is set. Nesting is limited to [`MAX_DEPTH`], a document to
//! [`MAX_VALUES`] values, and its object to [`MAX_FIELDS`] fields. The caller limits the size in
//! bytes.

use std::fmt::{self, Display};
use std::mem;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The maximum nesting of arrays and objects.
pub const MAX_DEPTH: usize = 64;

/// The maximum number of values. The largest valid request has about 20,000. Spin does not preempt
/// a guest, so parsing more would block other requests.
pub const MAX_VALUES: usize = 50_000;

/// The maximum number of fields of a body. Each is compared with all others.
pub const MAX_FIELDS: usize = 100;

/// The reason why a body cannot be read.
#[derive(Debug)]
pub enum Error {
    /// The body is not JSON or is nested too deeply.
    Syntax(String),
    /// The body has more than [`MAX_VALUES`] values.
    TooManyValues,
    /// The body is JSON, but some values are invalid.
    Invalid(Vec<FieldError>),
}

/// An invalid value in a JSON document.
#[derive(Debug, PartialEq, Serialize)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) to the value.
    pub pointer: String,
    /// The reason, worded to follow the name of the field: "must not be empty".
    pub detail: String,
}

impl FieldError {
    /// Creates an error at `path`, the names and indices from the outside in. An empty path refers
    /// to the whole document.
    pub fn new(path: &[&str], detail: impl Display) -> FieldError {
        let mut pointer = String::new();
        for name in path {
            pointer = pointer + "/" + &name.replace('~', "~0").replace('/', "~1");
        }
        FieldError { pointer, detail: detail.to_string() }
    }
}

/// A type that is read from the fields of a JSON object.
pub trait FromFields: Sized {
    /// Whether to ignore unknown fields. By default they are errors.
    const ALLOW_UNKNOWN_FIELDS: bool = false;

    /// Reads the fields. Returns `None` when one is invalid; `fields` has recorded the error.
    ///
    /// An implementation reads all fields before the first `?`, so that all errors are reported.
    fn from_fields(fields: &mut Fields) -> Option<Self>;
}

/// Parses a document that is one JSON object.
pub fn from_slice<T: FromFields>(document: &[u8]) -> Result<T, Error> {
    let document = str::from_utf8(document).map_err(|error| Error::Syntax(error.to_string()))?;
    check_limits(document)?;
    let invalid = |detail| Err(Error::Invalid(vec![FieldError::new(&[], detail)]));
    let syntax = |error: serde_json::Error| Error::Syntax(error.to_string());
    if !document.trim_ascii_start().starts_with('{') {
        let _: &RawValue = serde_json::from_str(document).map_err(syntax)?;
        return invalid("must be an object".to_owned());
    }
    let object: Object = serde_json::from_str(document).map_err(syntax)?;
    if object.0.len() > MAX_FIELDS {
        return invalid(format!("must have at most {MAX_FIELDS} fields"));
    }
    let mut fields = Fields::new(object);
    let value = T::from_fields(&mut fields);
    if !T::ALLOW_UNKNOWN_FIELDS {
        for (name, _) in mem::take(&mut fields.unread) {
            fields.error(&[&name], "is an unknown field");
        }
    }
    match value {
        _ if fields.syntax_error.is_some() => {
            Err(Error::Syntax(fields.syntax_error.unwrap_or_default()))
        }
        Some(value) if fields.errors.is_empty() => Ok(value),
        _ => Err(Error::Invalid(fields.errors)),
    }
}

/// Checks the depth and the number of values before memory is allocated. The text need not be valid
/// JSON.
fn check_limits(document: &str) -> Result<(), Error> {
    let (mut brackets, mut commas) = (0, 0);
    for byte in document.bytes() {
        brackets += usize::from(matches!(byte, b'[' | b'{'));
        commas += usize::from(byte == b',');
    }
    if brackets <= MAX_DEPTH && 1 + brackets + commas <= MAX_VALUES {
        // Within the limits even if strings contain none of them. Takes half the time of the loop
        // below.
        return Ok(());
    }
    let (mut depth, mut values) = (0_usize, 1_usize);
    let (mut in_string, mut escaped, mut previous) = (false, false, b' ');
    for byte in document.bytes() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        let is_first = matches!(previous, b'[' | b'{') && !matches!(byte, b']' | b'}');
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => continue,
            b'"' => in_string = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        values += usize::from(is_first || byte == b',');
        if depth > MAX_DEPTH {
            let detail = format!("arrays and objects are nested more than {MAX_DEPTH} deep");
            return Err(Error::Syntax(detail));
        }
        if values > MAX_VALUES {
            return Err(Error::TooManyValues);
        }
        previous = byte;
    }
    Ok(())
}

/// The raw values of an object by name, in document order. Names may repeat.
struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Object(entries))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

/// A type that is parsed from one JSON value.
pub trait Value<'a>: Deserialize<'a> {
    /// The description of the type in an error, after "must be".
    const KIND: &'static str;
}

impl Value<'_> for String {
    const KIND: &'static str = "a string";
}

impl Value<'_> for bool {
    const KIND: &'static str = "true or false";
}

impl Value<'_> for i64 {
    const KIND: &'static str = "an integer";
}

impl Value<'_> for Vec<String> {
    const KIND: &'static str = "an array of strings";
}

impl<'a> Value<'a> for &'a RawValue {
    const KIND: &'static str = "a value";
}

impl<'a> Value<'a> for Vec<&'a RawValue> {
    const KIND: &'static str = "an array";
}

impl<'a> Value<'a> for Object<'a> {
    const KIND: &'static str = "an object";
}

/// The digits of a number as they appear in the document: `1.50`, `-1e400`.
pub struct Number<'a>(pub &'a str);

impl<'a> Value<'a> for Number<'a> {
    const KIND: &'static str = "a number";
}

impl<'de> Deserialize<'de> for Number<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = <&RawValue>::deserialize(deserializer)?.get();
        match digits.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            true => Ok(Number(digits)),
            false => Err(D::Error::custom("not a number")),
        }
    }
}

/// The fields of a body, and the errors found so far.
pub struct Fields<'a> {
    unread: Vec<(String, &'a RawValue)>,
    errors: Vec<FieldError>,
    /// Set when a string has an unpaired surrogate, which is not valid Unicode.
    syntax_error: Option<String>,
}

impl<'a> Fields<'a> {
    fn new(object: Object<'a>) -> Fields<'a> {
        let mut fields = Fields { unread: Vec::new(), errors: Vec::new(), syntax_error: None };
        for (name, value) in object.0 {
            match fields.has(&name) {
                true => fields.error(&[&name], "is a duplicate field"),
                false => fields.unread.push((name, value)),
            }
        }
        fields
    }

    /// Returns whether the field exists and has not been read yet.
    pub fn has(&self, name: &str) -> bool {
        self.unread.iter().any(|(known, _)| known == name)
    }

    /// Reads a required field.
    pub fn required<T: Value<'a>>(&mut self, name: &str) -> Option<T> {
        let value = self.take(name);
        if value.is_none() {
            self.error(&[name], "is required");
        }
        self.value(&[name], value?)
    }

    /// Reads an optional field. Returns `Some(None)` when it is absent or null.
    pub fn optional<T: Value<'a>>(&mut self, name: &str) -> Option<Option<T>> {
        match self.take(name) {
            None => Some(None),
            Some(value) if value.get() == "null" => Some(None),
            Some(value) => self.value(&[name], value).map(Some),
        }
    }

    /// Reads a required field and converts it by `rule`.
    pub fn parse<T: Value<'a>, U, E: Display>(
        &mut self,
        name: &str,
        rule: impl FnOnce(T) -> Result<U, E>,
    ) -> Option<U> {
        let value = self.required(name)?;
        self.apply(&[name], value, rule)
    }

    /// Reads an optional field and converts it by `rule`. Returns `Some(None)` when it is absent or
    /// null; a default is `fields.parse_optional(…)?.unwrap_or(default)`.
    pub fn parse_optional<T: Value<'a>, U, E: Display>(
        &mut self,
        name: &str,
        rule: impl FnOnce(T) -> Result<U, E>,
    ) -> Option<Option<U>> {
        match self.optional(name)? {
            None => Some(None),
            Some(value) => self.apply(&[name], value, rule).map(Some),
        }
    }

    /// Reads a member of a JSON Merge Patch (RFC 7396) that cannot be removed. Returns `Some(None)`
    /// when it is absent, which leaves the value unchanged. Null is an error.
    pub fn patch<T: Value<'a>, U, E: Display>(
        &mut self,
        name: &str,
        rule: impl FnOnce(T) -> Result<U, E>,
    ) -> Option<Option<U>> {
        match self.has(name) {
            false => Some(None),
            true => self.parse(name, rule).map(Some),
        }
    }

    /// Reads a member of a JSON Merge Patch (RFC 7396) that can be removed. Returns `Some(None)`
    /// when it is absent, which leaves the value unchanged, and `Some(Some(None))` when it is null,
    /// which removes the value.
    pub fn patch_optional<T: Value<'a>, U, E: Display>(
        &mut self,
        name: &str,
        rule: impl FnOnce(T) -> Result<U, E>,
    ) -> Option<Option<Option<U>>> {
        match self.has(name) {
            false => Some(None),
            true => self.parse_optional(name, rule).map(Some),
        }
    }

    /// Reads a required array of at most `max` elements and converts each by `rule`. Stops at the
    /// first invalid element.
    pub fn list<T: Value<'a>, U, E: Display>(
        &mut self,
        name: &str,
        max: usize,
        rule: impl Fn(T) -> Result<U, E>,
    ) -> Option<Vec<U>> {
        let raw: &RawValue = self.required(name)?;
        let Ok(elements) = serde_json::from_str::<Vec<T>>(raw.get()) else {
            return self.invalid_list::<T, U>(name, raw, max);
        };
        self.limit(name, elements.len(), max)?;
        let elements = elements.into_iter().enumerate();
        elements
            .map(|(index, element)| {
                rule(element).map_err(|error| self.error(&[name, &index.to_string()], error)).ok()
            })
            .collect()
    }

    /// Records the error of an array that cannot be parsed.
    fn invalid_list<T: Value<'a>, U>(
        &mut self,
        name: &str,
        raw: &'a RawValue,
        max: usize,
    ) -> Option<Vec<U>> {
        let elements: Vec<&RawValue> = self.value(&[name], raw)?;
        self.limit(name, elements.len(), max)?;
        for (index, element) in elements.into_iter().enumerate() {
            self.value::<T>(&[name, &index.to_string()], element)?;
        }
        None
    }

    /// Reads a required object of at most `max` fields with any names, in document order, and
    /// converts each value by `rule`. Stops at the first invalid field. Names may repeat.
    pub fn map<T: Value<'a>, U, E: Display>(
        &mut self,
        name: &str,
        max: usize,
        rule: impl Fn(T) -> Result<U, E>,
    ) -> Option<Vec<(String, U)>> {
        let Object(entries) = self.required(name)?;
        self.limit(name, entries.len(), max)?;
        let entries = entries.into_iter();
        entries
            .map(|(key, value)| {
                let value = self.value(&[name, &key], value)?;
                let value = self.apply(&[name, &key], value, &rule)?;
                Some((key, value))
            })
            .collect()
    }

    /// Records an error at `path`.
    pub fn error(&mut self, path: &[&str], detail: impl Display) {
        self.errors.push(FieldError::new(path, detail));
    }

    fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let index = self.unread.iter().position(|(known, _)| known == name)?;
        Some(self.unread.remove(index).1)
    }

    fn value<T: Value<'a>>(&mut self, path: &[&str], raw: &'a RawValue) -> Option<T> {
        let parsed = serde_json::from_str(raw.get());
        parsed
            .map_err(|error: serde_json::Error| {
                // The syntax of `raw` has been checked, except for unpaired surrogates in strings.
                if error.is_syntax() && raw.get().contains("\\u") {
                    self.syntax_error = Some(error.to_string());
                }
                self.error(path, format_args!("must be {}", T::KIND));
            })
            .ok()
    }

    fn apply<T, U, E: Display>(
        &mut self,
        path: &[&str],
        value: T,
        rule: impl FnOnce(T) -> Result<U, E>,
    ) -> Option<U> {
        rule(value).map_err(|error| self.error(path, error)).ok()
    }

    fn limit(&mut self, name: &str, length: usize, max: usize) -> Option<()> {
        if length > max {
            self.error(&[name], format_args!("must have at most {max} elements"));
        }
        (length <= max).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Entry {
        word: String,
        rank: i64,
        note: Option<String>,
    }

    impl FromFields for Entry {
        fn from_fields(fields: &mut Fields) -> Option<Entry> {
            let word = fields.parse("word", |word: String| match word.as_str() {
                "x" => Err("is taken"),
                _ => Ok(word),
            });
            let rank = fields.required("rank/~");
            let note = fields.optional("note");
            Some(Entry { word: word?, rank: rank?, note: note? })
        }
    }

    /// Reads any object.
    #[derive(Debug)]
    struct Anything;

    impl FromFields for Anything {
        const ALLOW_UNKNOWN_FIELDS: bool = true;

        fn from_fields(_: &mut Fields) -> Option<Anything> {
            Some(Anything)
        }
    }

    /// Lists and maps of short values.
    #[derive(Debug)]
    struct Order {
        items: Vec<String>,
        costs: Vec<(String, String)>,
        tax: usize,
    }

    impl FromFields for Order {
        fn from_fields(fields: &mut Fields) -> Option<Order> {
            let items = fields.list("items", 2, Ok::<String, String>);
            let digits = |Number(digits): Number| Ok::<_, String>(digits.to_owned());
            let costs = fields.map("costs", 2, digits);
            let tax =
                fields.parse("tax", |Number(digits)| digits.parse().map_err(|_| "is invalid"));
            Some(Order { items: items?, costs: costs?, tax: tax? })
        }
    }

    /// Returns pointer and detail of every error.
    fn errors<T: FromFields + fmt::Debug>(text: &str) -> Vec<(String, String)> {
        match from_slice::<T>(text.as_bytes()) {
            Err(Error::Invalid(errors)) => {
                errors.into_iter().map(|error| (error.pointer, error.detail)).collect()
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    fn expected(errors: &[(&str, &str)]) -> Vec<(String, String)> {
        errors.iter().map(|&(pointer, detail)| (pointer.into(), detail.into())).collect()
    }

    #[test]
    fn valid_object_is_parsed_into_its_type() {
        let text = " {\"rank/~\":-12,\"wor\\u0064\":\"\\u00e9\\n\\ud83e\\udd80\"}\r\n";
        let entry = Entry { word: "é\n🦀".into(), rank: -12, note: None };
        assert_eq!(from_slice::<Entry>(text.as_bytes()).unwrap(), entry);
        let text = r#"{"word":"","rank/~":0,"note":"n"}"#;
        let entry = Entry { word: String::new(), rank: 0, note: Some("n".into()) };
        assert_eq!(from_slice::<Entry>(text.as_bytes()).unwrap(), entry);
        from_slice::<Anything>(br#"{"a":1,"b":[{}]}"#).expect("unknown fields are ignored");
    }

    #[test]
    fn optional_field_may_be_absent_or_null() {
        for text in [r#"{"word":"","rank/~":0}"#, r#"{"word":"","rank/~":0,"note":null}"#] {
            assert_eq!(from_slice::<Entry>(text.as_bytes()).unwrap().note, None, "{text}");
        }
        let wrong = errors::<Entry>(r#"{"word":"","rank/~":0,"note":[]}"#);
        assert_eq!(wrong, expected(&[("/note", "must be a string")]));
        let null = errors::<Entry>(r#"{"word":null,"rank/~":0}"#);
        assert_eq!(null, expected(&[("/word", "must be a string")]));
    }

    /// A JSON Merge Patch of a title and a note.
    #[derive(Debug, PartialEq)]
    struct Patch {
        title: Option<String>,
        note: Option<Option<String>>,
    }

    impl FromFields for Patch {
        fn from_fields(fields: &mut Fields) -> Option<Patch> {
            let short = |text: String| if text.len() < 9 { Ok(text) } else { Err("is too long") };
            let title = fields.patch("title", short);
            let note = fields.patch_optional("note", short);
            Some(Patch { title: title?, note: note? })
        }
    }

    #[test]
    fn merge_patch_distinguishes_absent_null_and_value() {
        let patch = |text: &str| from_slice::<Patch>(text.as_bytes()).unwrap();
        assert_eq!(patch("{}"), Patch { title: None, note: None });
        assert_eq!(patch(r#"{"note":null}"#), Patch { title: None, note: Some(None) });
        let both = Patch { title: Some("a".into()), note: Some(Some("b".into())) };
        assert_eq!(patch(r#"{"title":"a","note":"b"}"#), both);
        let null = errors::<Patch>(r#"{"title":null,"note":5}"#);
        assert_eq!(
            null,
            expected(&[("/title", "must be a string"), ("/note", "must be a string")])
        );
        let long = errors::<Patch>(r#"{"title":"123456789","note":"123456789"}"#);
        assert_eq!(long, expected(&[("/title", "is too long"), ("/note", "is too long")]));
    }

    #[test]
    fn all_invalid_fields_are_reported() {
        let required = ("/rank~1~0", "is required");
        assert_eq!(errors::<Entry>("{}"), expected(&[("/word", "is required"), required]));
        let wrong = errors::<Entry>(r#"{"word":5}"#);
        assert_eq!(wrong, expected(&[("/word", "must be a string"), required]));
        let taken = errors::<Entry>(r#"{"word":"x"}"#);
        assert_eq!(taken, expected(&[("/word", "is taken"), required]));
        for number in ["1.5", "1e2", "9223372036854775808", "1e400", "\"1\""] {
            assert_eq!(
                errors::<Entry>(&format!(r#"{{"word":"a","rank/~":{number},"more":1}}"#)),
                expected(&[("/rank~1~0", "must be an integer"), ("/more", "is an unknown field")]),
                "{number}"
            );
        }
        let duplicate = r#"{"word":"a","word":"b","rank/~":1}"#;
        assert_eq!(errors::<Entry>(duplicate), expected(&[("/word", "is a duplicate field")]));
        assert_eq!(
            errors::<Anything>(r#"{"a":1,"\u0061":1}"#),
            expected(&[("/a", "is a duplicate field")])
        );
        for other in ["[{}]", "null", "5", "\"{}\""] {
            assert_eq!(errors::<Entry>(other), expected(&[("", "must be an object")]), "{other}");
        }
        let fields: Vec<_> = (0..=MAX_FIELDS).map(|number| format!("\"{number}\":0")).collect();
        let many = errors::<Anything>(&format!("{{{}}}", fields.join(",")));
        assert_eq!(many, expected(&[("", "must have at most 100 fields")]));
    }

    #[test]
    fn lists_and_maps_report_excess_length_and_the_invalid_element() {
        let text = br#"{"items":["a","b"],"costs":{"x":1.50,"y":1e2},"tax":7}"#;
        let Order { items, costs, tax } = from_slice(text).unwrap();
        assert_eq!((items, tax), (vec!["a".to_owned(), "b".to_owned()], 7));
        let costs: Vec<_> = costs.iter().map(|(x, digits)| (x.as_str(), digits.as_str())).collect();
        assert_eq!(costs, [("x", "1.50"), ("y", "1e2")]);
        assert_eq!(
            errors::<Order>(r#"{"items":["a",1],"costs":{"a/b":"1"},"tax":1.5}"#),
            expected(&[
                ("/items/1", "must be a string"),
                ("/costs/a~1b", "must be a number"),
                ("/tax", "is invalid")
            ])
        );
        assert_eq!(
            errors::<Order>(r#"{"items":["a","b","c"],"costs":{"a":1,"b":2,"c":3},"tax":"1"}"#),
            expected(&[
                ("/items", "must have at most 2 elements"),
                ("/costs", "must have at most 2 elements"),
                ("/tax", "must be a number")
            ])
        );
        assert_eq!(
            errors::<Order>(r#"{"items":{},"costs":[]}"#),
            expected(&[
                ("/items", "must be an array"),
                ("/costs", "must be an object"),
                ("/tax", "is required")
            ])
        );
    }

    #[test]
    fn number_keeps_all_digits() {
        for digits in ["0.10", "-0", "1e400", "123456789012345678901234567890.5", "1E+2"] {
            let text = format!(r#"{{"items":[],"costs":{{"x":{digits}}},"tax":1}}"#);
            let order: Order = from_slice(text.as_bytes()).unwrap();
            assert_eq!(order.costs, [("x".to_owned(), digits.to_owned())]);
        }
    }

    #[test]
    fn malformed_json_is_a_syntax_error() {
        for bad in [
            "",
            " ",
            "{",
            "}",
            "{\"a\"}",
            "{\"a\":1,}",
            "[1,]",
            "{}x",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":+1}",
            "{\"a\":.5}",
            "{\"a\":NaN}",
            "{\"a\":Infinity}",
            "{\"a\":nul}",
            "{'a':1}",
            "{a:1}",
            r#"{"a":"\x"}"#,
            r#"{"word":"\ud800","rank/~":1}"#,
            r#"{"\udc00":1}"#,
            "{\"a\":\"\n\"}",
            "\u{feff}{}",
            "{/**/}",
        ] {
            assert!(is_syntax_error(bad.as_bytes()), "{bad:?}");
        }
        assert!(is_syntax_error(b"{\"a\":\"\xff\"}"));
    }

    fn is_syntax_error(text: &[u8]) -> bool {
        matches!(from_slice::<Entry>(text), Err(Error::Syntax(_)))
    }

    #[test]
    fn unpaired_surrogate_in_a_list_is_a_syntax_error() {
        let text = br#"{"items":["\udd80"],"costs":{},"tax":1}"#;
        assert!(matches!(from_slice::<Order>(text), Err(Error::Syntax(_))));
    }

    #[test]
    fn document_over_depth_or_value_limit_is_rejected() {
        let nested = |depth| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        from_slice::<Anything>(nested(MAX_DEPTH - 1).as_bytes()).expect("the maximum depth");
        assert!(is_syntax_error(nested(MAX_DEPTH).as_bytes()));
        for element in ["0", "[]", "{}", "\",[{\"", "[ ]"] {
            // The object and the array count as two values.
            let many = |count| format!("{{\"a\":[{}]}}", vec![element; count - 2].join(","));
            from_slice::<Anything>(many(MAX_VALUES).as_bytes()).expect(element);
            let result = from_slice::<Anything>(many(MAX_VALUES + 1).as_bytes());
            assert!(matches!(result, Err(Error::TooManyValues)), "{element}: {result:?}");
        }
    }
}
