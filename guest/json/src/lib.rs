//! JSON into values, field by field, with everything that does not fit named at once.
//!
//! ```
//! use json::{FromObject, Object};
//!
//! struct Person {
//!     name: String,
//!     age: i64,
//! }
//!
//! impl FromObject for Person {
//!     fn from_object(object: &mut Object) -> Option<Person> {
//!         let name = object.required("name");
//!         let age = object.required("age");
//!         Some(Person { name: name?, age: age? })
//!     }
//! }
//!
//! let person: Person = json::object(br#"{"name":"Ada","age":36}"#).unwrap();
//! assert_eq!((person.name.as_str(), person.age), ("Ada", 36));
//!
//! let Err(json::Error::Invalid(flaws)) = json::object::<Person>(br#"{"age":"old"}"#) else { panic!() };
//! let told: Vec<_> = flaws.iter().map(|flaw| (flaw.pointer.as_str(), flaw.detail.as_str())).collect();
//! assert_eq!(told, [("/name", "is required"), ("/age", "must be a whole number")]);
//! ```
//!
//! Why not serde: what its derive and `serde_json` generate for reading makes a component a third
//! larger (33 KB for the first type), numbers lose their digits on the way, and of several mistakes
//! a client is told the first.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::{self, Display};
use std::mem;

use hifijson::SliceLexer;
use hifijson::num::LexWrite as _;
use hifijson::str::LexAlloc as _;
use hifijson::token::{Expect, Lex};
use serde::Serialize;

/// A JSON value, with numbers as they were written.
pub type Value<'a> = hifijson::value::Value<&'a str, Cow<'a, str>>;

/// How deep arrays and objects may be nested in each other.
const DEPTH: usize = 64;

/// How many values a text may hold. What a request may ask for at most has some 20,000, and a guest
/// that reads on for longer keeps others from running.
const VALUES: usize = 50_000;

/// How many fields an object may have: each is compared with all others.
const FIELDS: usize = 100;

/// Why a text did not become a value.
#[derive(Debug)]
pub enum Error {
    /// It is not JSON, or too deeply nested.
    Syntax(String),
    /// It may be JSON, but there is too much of it.
    TooMany(usize),
    /// It is JSON, but not what is wanted.
    Invalid(Vec<Flaw>),
}

/// One thing that is wrong with a JSON document.
#[derive(Debug, PartialEq, Serialize)]
pub struct Flaw {
    /// JSON pointer (RFC 6901) to the value at fault.
    pub pointer: String,
    /// What is wrong with it, to be read after its name.
    pub detail: String,
}

impl Flaw {
    /// The field `name` of the outermost object is at fault.
    pub fn of(name: &str, detail: &dyn Display) -> Flaw {
        Flaw::at(&[name], detail)
    }

    /// What these names and indices lead to, from the outside in, is at fault.
    pub fn at(path: &[&str], detail: &dyn Display) -> Flaw {
        let mut pointer = String::new();
        for name in path {
            pointer.push('/');
            for character in name.chars() {
                match character {
                    '~' => pointer += "~0",
                    '/' => pointer += "~1",
                    other => pointer.push(other),
                }
            }
        }
        Flaw { pointer, detail: detail.to_string() }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Syntax(reason) => write!(f, "not JSON: {reason}"),
            Error::TooMany(most) => write!(f, "more than {most} values"),
            Error::Invalid(flaws) => {
                for Flaw { pointer, detail } in flaws {
                    write!(f, "{pointer} {detail}; ")?;
                }
                Ok(())
            }
        }
    }
}

/// What can be made of the fields of an object.
///
/// An implementation reads every field before its first `?`, so that all flaws are found.
pub trait FromObject: Sized {
    /// Whether fields that are not asked for are ignored; by default they are refused.
    const IGNORES_OTHERS: bool = false;

    /// `None` when a field does not fit; `object` has noted which, and why.
    fn from_object(object: &mut Object) -> Option<Self>;
}

/// What can be made of a single value.
pub trait FromValue: Sized {
    /// What the value must be, in words: "a string".
    const KIND: &'static str;

    /// `None` when it is something else.
    fn from_value(value: Value) -> Option<Self>;
}

/// An object that is being read.
pub struct Object<'a> {
    left: Vec<(Cow<'a, str>, Value<'a>)>,
    flaws: Vec<Flaw>,
}

impl<'a> Object<'a> {
    fn of(value: Value<'a>) -> Result<Object<'a>, Error> {
        let refused = |detail| {
            let flaw = Flaw { pointer: String::new(), detail };
            Err(Error::Invalid(vec![flaw]))
        };
        let Value::Object(fields) = value else {
            return refused("must be an object".to_owned());
        };
        if fields.len() > FIELDS {
            return refused(format!("may have at most {FIELDS} fields"));
        }
        let mut object = Object { left: Vec::with_capacity(fields.len()), flaws: Vec::new() };
        for (name, value) in fields {
            match object.has(&name) {
                true => object.flaw(&name, &"is given twice"),
                false => object.left.push((name, value)),
            }
        }
        Ok(object)
    }

    /// All that was wrong. Fields that have not been taken out are, unless others are ignored.
    fn flaws(mut self, ignores_others: bool) -> Vec<Flaw> {
        if !ignores_others {
            for (name, _) in mem::take(&mut self.left) {
                self.flaw(&name, &"is not known here");
            }
        }
        self.flaws
    }

    /// The field's value, taken out; `None` when there is no such field.
    pub fn take(&mut self, name: &str) -> Option<Value<'a>> {
        let index = self.left.iter().position(|(known, _)| known == name)?;
        Some(self.left.swap_remove(index).1)
    }

    /// Whether there is such a field, and it has not been taken out.
    pub fn has(&self, name: &str) -> bool {
        self.left.iter().any(|(known, _)| known == name)
    }

    /// The field's value; a flaw when it is missing or something else.
    pub fn required<T: FromValue>(&mut self, name: &str) -> Option<T> {
        let value = T::from_value(self.must(name)?);
        if value.is_none() {
            self.flaw(name, &format_args!("must be {}", T::KIND));
        }
        value
    }

    /// A field that is a text, if the rules of what it stands for allow it.
    pub fn text<T, E: Display>(
        &mut self,
        name: &str,
        rules: impl FnOnce(String) -> Result<T, E>,
    ) -> Option<T> {
        match rules(self.required(name)?) {
            Ok(value) => Some(value),
            Err(flaw) => {
                self.flaw(name, &flaw);
                None
            }
        }
    }

    /// A field that is an array of up to `most` values, which `each` makes of them; the first that
    /// does not fit is named.
    pub fn list<T, E: Display>(
        &mut self,
        name: &str,
        most: usize,
        each: impl Fn(Value<'a>) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let Value::Array(values) = self.must(name)? else {
            self.flaw(name, &"must be an array");
            return None;
        };
        self.bounded(name, values.len(), most)?;
        let mut list = Vec::with_capacity(values.len());
        for (index, value) in values.into_iter().enumerate() {
            match each(value) {
                Ok(value) => list.push(value),
                Err(flaw) => {
                    self.flaws.push(Flaw::at(&[name, &index.to_string()], &flaw));
                    return None;
                }
            }
        }
        Some(list)
    }

    /// A field that is an object with up to `most` fields of any name, whose values `each` makes of
    /// them, in their order; the first that does not fit is named. A name may be there twice.
    pub fn map<T, E: Display>(
        &mut self,
        name: &str,
        most: usize,
        each: impl Fn(Value<'a>) -> Result<T, E>,
    ) -> Option<Vec<(String, T)>> {
        let Value::Object(fields) = self.must(name)? else {
            self.flaw(name, &"must be an object");
            return None;
        };
        self.bounded(name, fields.len(), most)?;
        let mut map = Vec::with_capacity(fields.len());
        for (key, value) in fields {
            match each(value) {
                Ok(value) => map.push((key.into_owned(), value)),
                Err(flaw) => {
                    self.flaws.push(Flaw::at(&[name, &key], &flaw));
                    return None;
                }
            }
        }
        Some(map)
    }

    /// A field that is a number, if the rules of what it stands for allow its digits.
    pub fn number<T, E: Display>(
        &mut self,
        name: &str,
        rules: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let flaw = match digits(self.must(name)?).map(rules) {
            Ok(Ok(value)) => return Some(value),
            Ok(Err(flaw)) => flaw.to_string(),
            Err(flaw) => flaw.to_owned(),
        };
        self.flaw(name, &flaw);
        None
    }

    fn must(&mut self, name: &str) -> Option<Value<'a>> {
        let value = self.take(name);
        if value.is_none() {
            self.flaw(name, &"is required");
        }
        value
    }

    fn bounded(&mut self, name: &str, length: usize, most: usize) -> Option<()> {
        if length > most {
            self.flaw(name, &format_args!("may have at most {most} elements"));
            return None;
        }
        Some(())
    }

    /// Notes what is wrong with a field of a field.
    pub fn flaw_in(&mut self, name: &str, inner: &str, flaw: &dyn Display) {
        self.flaws.push(Flaw::at(&[name, inner], flaw));
    }

    /// Notes what is wrong with a field.
    pub fn flaw(&mut self, name: &str, flaw: &dyn Display) {
        self.flaws.push(Flaw::of(name, flaw));
    }
}

/// The text of a string.
pub fn string(value: Value) -> Result<String, &'static str> {
    String::from_value(value).ok_or("must be a string")
}

/// The digits of a number, as they were written.
pub fn digits<'a>(value: Value<'a>) -> Result<&'a str, &'static str> {
    match value {
        Value::Number((digits, _)) => Ok(digits),
        _ => Err("must be a number"),
    }
}

impl FromValue for String {
    const KIND: &'static str = "a string";

    fn from_value(value: Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text.into_owned()),
            _ => None,
        }
    }
}

impl FromValue for bool {
    const KIND: &'static str = "true or false";

    fn from_value(value: Value) -> Option<bool> {
        match value {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }
}

impl FromValue for i64 {
    const KIND: &'static str = "a whole number";

    fn from_value(value: Value) -> Option<i64> {
        match value {
            Value::Number((digits, _)) => integer(digits),
            _ => None,
        }
    }
}

/// The whole number in a text, wherever it comes from: read by code that is in a component once.
#[inline(never)]
pub fn integer(text: &str) -> Option<i64> {
    text.parse().ok()
}

impl<T: FromValue> FromValue for Option<T> {
    const KIND: &'static str = T::KIND;

    fn from_value(value: Value) -> Option<Option<T>> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

impl FromValue for Vec<String> {
    const KIND: &'static str = "a list of strings";

    fn from_value(value: Value) -> Option<Vec<String>> {
        match value {
            Value::Array(values) => values.into_iter().map(String::from_value).collect(),
            _ => None,
        }
    }
}

/// Reads a text that is one JSON value.
pub fn value(text: &[u8]) -> Result<Value<'_>, Error> {
    let left = Cell::new(VALUES);
    let value = SliceLexer::new(text)
        .exactly_one(Lex::ws_peek, |next, lexer| parse(next, lexer, DEPTH, &left));
    value.map_err(|error: hifijson::Error| match left.get() {
        0 => Error::TooMany(VALUES),
        _ => Error::Syntax(error.to_string()),
    })
}

/// The value that begins with `next`, not deeper than `depth`, and with no more than `left` values
/// in it. hifijson's own function counts the depth alone.
fn parse<'a>(
    next: u8,
    lexer: &mut SliceLexer<'a>,
    depth: usize,
    left: &Cell<usize>,
) -> Result<Value<'a>, hifijson::Error> {
    let (Some(depth), Some(fewer)) = (depth.checked_sub(1), left.get().checked_sub(1)) else {
        return Err(hifijson::Error::Depth);
    };
    left.set(fewer);
    match next {
        b'"' => Ok(Value::String(lexer.discarded().str_string()?)),
        b'0'..=b'9' | b'-' => {
            let (digits, parts) = lexer.num_bytes().validated()?;
            // They are ASCII. hifijson's `num_string` would panic with a message that costs 2 KB.
            Ok(Value::Number((str::from_utf8(digits).unwrap_or_default(), parts)))
        }
        b'[' => {
            let mut array = Vec::new();
            lexer.discarded().seq(b']', Lex::ws_peek, |next, lexer| {
                array.push(parse(next, lexer, depth, left)?);
                Ok::<_, hifijson::Error>(())
            })?;
            Ok(Value::Array(array))
        }
        b'{' => {
            let mut object = Vec::new();
            lexer.discarded().seq(b'}', Lex::ws_peek, |next, lexer| {
                lexer.expect(|_| Some(next), b'"').ok_or(Expect::String)?;
                let name = lexer.str_string()?;
                lexer.expect(Lex::ws_peek, b':').ok_or(Expect::Colon)?;
                let next = lexer.ws_peek().ok_or(Expect::Value)?;
                object.push((name, parse(next, lexer, depth, left)?));
                Ok::<_, hifijson::Error>(())
            })?;
            Ok(Value::Object(object))
        }
        _ => match lexer.null_or_bool().ok_or(Expect::Value)? {
            Some(truth) => Ok(Value::Bool(truth)),
            None => Ok(Value::Null),
        },
    }
}

/// Reads a text that is one JSON object.
pub fn object<T: FromObject>(text: &[u8]) -> Result<T, Error> {
    from_value(value(text)?)
}

/// Makes a value of one that must be an object.
pub fn from_value<T: FromObject>(value: Value) -> Result<T, Error> {
    let mut object = Object::of(value)?;
    match (T::from_object(&mut object), object.flaws(T::IGNORES_OTHERS)) {
        (Some(value), flaws) if flaws.is_empty() => Ok(value),
        (_, flaws) => Err(Error::Invalid(flaws)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Entry {
        word: String,
        rank: Option<i64>,
    }

    impl FromObject for Entry {
        fn from_object(object: &mut Object) -> Option<Entry> {
            let word =
                object.text("word", |word| if word == "x" { Err("is taken") } else { Ok(word) });
            let rank = object.required("rank/~");
            Some(Entry { word: word?, rank: rank? })
        }
    }

    /// Every pointer with its detail.
    fn flaws(text: &str) -> Vec<(String, String)> {
        match object::<Entry>(text.as_bytes()) {
            Err(Error::Invalid(flaws)) => {
                flaws.into_iter().map(|flaw| (flaw.pointer, flaw.detail)).collect()
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    fn told(flaws: &[(&str, &str)]) -> Vec<(String, String)> {
        flaws.iter().map(|&(pointer, detail)| (pointer.into(), detail.into())).collect()
    }

    #[test]
    fn an_object_becomes_its_value() {
        let text = " {\"rank/~\":-12,\"wor\\u0064\":\"\\u00e9\\n\\ud83e\\udd80\"}\r\n";
        let entry = Entry { word: "é\n🦀".into(), rank: Some(-12) };
        assert_eq!(object::<Entry>(text.as_bytes()).unwrap(), entry);
        assert_eq!(object::<Entry>(br#"{"word":"","rank/~":null}"#).unwrap().rank, None);
    }

    #[test]
    fn everything_that_does_not_fit_is_named_at_once() {
        let required = ("/rank~1~0", "is required");
        assert_eq!(flaws("{}"), told(&[("/word", "is required"), required]));
        assert_eq!(flaws(r#"{"word":5}"#), told(&[("/word", "must be a string"), required]));
        assert_eq!(flaws(r#"{"word":"x"}"#), told(&[("/word", "is taken"), required]));
        assert_eq!(
            flaws(r#"{"word":"a","rank/~":1.5,"more":1}"#),
            told(&[("/rank~1~0", "must be a whole number"), ("/more", "is not known here")])
        );
        let twice = flaws(r#"{"word":"a","word":"b","rank/~":1}"#);
        assert_eq!(twice, told(&[("/word", "is given twice")]));
        assert_eq!(flaws("[{}]"), told(&[("", "must be an object")]));
        let fields: Vec<_> = (0..=FIELDS).map(|number| format!("\"{number}\":0")).collect();
        let many = flaws(&format!("{{{}}}", fields.join(",")));
        assert_eq!(many, told(&[("", "may have at most 100 fields")]));
    }

    /// A list and a map of short things.
    #[derive(Debug)]
    struct Order {
        items: Vec<String>,
        costs: Vec<(String, String)>,
        tax: usize,
    }

    impl FromObject for Order {
        fn from_object(object: &mut Object) -> Option<Order> {
            let items = object.list("items", 2, string);
            let costs = object.map("costs", 2, |value| digits(value).map(str::to_owned));
            let tax = object.number("tax", |digits| digits.parse().map_err(|_| "is odd"));
            Some(Order { items: items?, costs: costs?, tax: tax? })
        }
    }

    #[test]
    fn lists_and_maps_are_bounded_and_name_the_element_that_does_not_fit() {
        let text = br#"{"items":["a","b"],"costs":{"x":1.50,"y":1e2},"tax":7}"#;
        let Order { items, costs, tax } = object(text).unwrap();
        assert_eq!((items, tax), (vec!["a".to_owned(), "b".to_owned()], 7));
        assert_eq!(
            costs,
            [("x", "1.50"), ("y", "1e2")].map(|(name, digits)| (name.into(), digits.into()))
        );
        let flaws = |text: &str| match object::<Order>(text.as_bytes()) {
            Err(Error::Invalid(flaws)) => {
                flaws.into_iter().map(|flaw| (flaw.pointer, flaw.detail)).collect::<Vec<_>>()
            }
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(
            flaws(r#"{"items":["a",1],"costs":{"a/b":"1"},"tax":1.5}"#),
            told(&[
                ("/items/1", "must be a string"),
                ("/costs/a~1b", "must be a number"),
                ("/tax", "is odd")
            ])
        );
        assert_eq!(
            flaws(r#"{"items":["a","b","c"],"costs":{"a":1,"b":2,"c":3},"tax":"1"}"#),
            told(&[
                ("/items", "may have at most 2 elements"),
                ("/costs", "may have at most 2 elements"),
                ("/tax", "must be a number")
            ])
        );
        assert_eq!(
            flaws(r#"{"items":{},"costs":[]}"#),
            told(&[
                ("/items", "must be an array"),
                ("/costs", "must be an object"),
                ("/tax", "is required")
            ])
        );
    }

    #[test]
    fn what_is_not_json_is_not_read() {
        let deep = format!("{}{}", "[".repeat(DEPTH + 1), "]".repeat(DEPTH + 1));
        for bad in [
            "",
            " ",
            "{",
            "}",
            "{\"a\"}",
            "{\"a\":1,}",
            "[1,]",
            "{}x",
            "01",
            "1.",
            "+1",
            "nul",
            "'a'",
            r#"{"a":"\x"}"#,
            r#"{"a":"\ud800"}"#,
            "{\"a\":\"\n\"}",
            "\u{feff}{}",
            &deep,
        ] {
            assert!(matches!(value(bad.as_bytes()), Err(Error::Syntax(_))), "{bad:?}");
        }
        assert!(matches!(value(b"{\"a\":\"\xff\"}"), Err(Error::Syntax(_))));
        let many = |count| format!("[{}]", vec!["0"; count].join(","));
        assert!(matches!(value(many(VALUES).as_bytes()), Err(Error::TooMany(VALUES))));
        value(many(VALUES - 1).as_bytes()).expect("as many as may be");
        value(&deep.as_bytes()[1..deep.len() - 1]).expect("as deep as may be");
    }
}
