//! Generators of realistic values.

use chrono::{Days, NaiveDate};
use fake::faker::{address, company, lorem, name};
use fake::locales::EN;
use fake::rand::seq::IndexedRandom;
use fake::{Fake, Rng};

/// The kinds that `-- fake:` accepts, for the error message.
const KNOWN: &str = "first_name, last_name, full_name, email(COLUMN), profession, company, \
                     catch_phrase, city, country, street, word, sentence(MIN, MAX), \
                     choice(A, B, ...), integer(MIN, MAX), price(MIN, MAX), date(FIRST, LAST)";

/// A generator for the values of a column.
#[derive(Clone, Debug)]
pub(super) enum Generator {
    FirstName,
    LastName,
    FullName,
    /// Derived from a name in the column with this index.
    Email(usize),
    Profession,
    Company,
    CatchPhrase,
    City,
    Country,
    Street,
    Word,
    /// The minimum and maximum number of words.
    Sentence(i64, i64),
    Choice(Vec<String>),
    Integer(i64, i64),
    /// The minimum and maximum in hundredths.
    Price(i64, i64),
    /// The first day, and the number of days after it.
    Date(NaiveDate, u64),
}

impl Generator {
    /// Parses `name` or `name(argument, ...)`. `columns` are the names of the preceding columns.
    pub(super) fn parse(text: &str, columns: &[&str]) -> Result<Generator, String> {
        let (name, arguments) = match text.split_once('(') {
            Some((name, rest)) => {
                let inner = rest.strip_suffix(')').ok_or("missing closing parenthesis")?;
                (name.trim_end(), inner.split(',').map(str::trim).collect())
            }
            None => (text, Vec::new()),
        };
        Ok(match (name, arguments.as_slice()) {
            ("first_name", []) => Generator::FirstName,
            ("last_name", []) => Generator::LastName,
            ("full_name", []) => Generator::FullName,
            ("email", [of]) => {
                let index = columns.iter().position(|column| column == of);
                Generator::Email(index.ok_or_else(|| format!("no preceding column is named {of}"))?)
            }
            ("profession", []) => Generator::Profession,
            ("company", []) => Generator::Company,
            ("catch_phrase", []) => Generator::CatchPhrase,
            ("city", []) => Generator::City,
            ("country", []) => Generator::Country,
            ("street", []) => Generator::Street,
            ("word", []) => Generator::Word,
            ("sentence", [min, max]) => {
                let (min, max) = range(integer(min)?, integer(max)?)?;
                Generator::Sentence(min, max)
            }
            ("choice", [_, ..]) => {
                Generator::Choice(arguments.iter().map(|&value| value.to_owned()).collect())
            }
            ("integer", [min, max]) => {
                let (min, max) = range(integer(min)?, integer(max)?)?;
                Generator::Integer(min, max)
            }
            ("price", [min, max]) => {
                let (min, max) = range(hundredths(min)?, hundredths(max)?)?;
                Generator::Price(min, max)
            }
            ("date", [first, last]) => {
                let (first, last) = range(date(first)?, date(last)?)?;
                Generator::Date(first, last.signed_duration_since(first).num_days().unsigned_abs())
            }
            _ => return Err(format!("unknown kind `{text}`; expected one of {KNOWN}")),
        })
    }

    /// Returns the PostgreSQL type of the column.
    pub(super) fn sql_type(&self) -> &'static str {
        match self {
            Generator::Integer(..) => "bigint",
            Generator::Price(..) => "numeric",
            Generator::Date(..) => "date",
            _ => "text",
        }
    }

    /// Generates the value for a row. `preceding` are the values of the preceding columns.
    pub(super) fn value(&self, rng: &mut impl Rng, row: u64, preceding: &[String]) -> String {
        match self {
            Generator::FirstName => name::raw::FirstName(EN).fake_with_rng(rng),
            Generator::LastName => name::raw::LastName(EN).fake_with_rng(rng),
            Generator::FullName => name::raw::Name(EN).fake_with_rng(rng),
            Generator::Email(of) => email(&preceding[*of], row),
            Generator::Profession => company::raw::Profession(EN).fake_with_rng(rng),
            Generator::Company => company::raw::CompanyName(EN).fake_with_rng(rng),
            Generator::CatchPhrase => company::raw::CatchPhrase(EN).fake_with_rng(rng),
            Generator::City => city(rng),
            Generator::Country => address::raw::CountryName(EN).fake_with_rng(rng),
            Generator::Street => address::raw::StreetName(EN).fake_with_rng(rng),
            Generator::Word => lorem::raw::Word(EN).fake_with_rng(rng),
            Generator::Sentence(min, max) => sentence(rng, *min, *max),
            Generator::Choice(all) => all.choose(rng).cloned().unwrap_or_default(),
            Generator::Integer(min, max) => rng.random_range(*min..=*max).to_string(),
            Generator::Price(min, max) => {
                let price = rng.random_range(*min..=*max);
                format!("{}.{:02}", price / 100, price % 100)
            }
            Generator::Date(first, days) => {
                // Cannot overflow, because the last day is valid.
                let day = first.checked_add_days(Days::new(rng.random_range(0..=*days)));
                day.unwrap_or(*first).to_string()
            }
        }
    }
}

/// Returns an address that matches a name. The row number makes it unique. The domain is reserved
/// and receives no mail (RFC 2606).
fn email(name: &str, row: u64) -> String {
    let words = name.split_whitespace().map(|word| {
        let letters = word.chars().filter(char::is_ascii_alphanumeric);
        letters.map(|letter| letter.to_ascii_lowercase()).collect::<String>()
    });
    let words: Vec<String> = words.filter(|word| !word.is_empty()).collect();
    format!("{}{row}@example.com", words.join("."))
}

/// Returns the name of a city. The generator of `fake` would separate the suffix: "Medhurst ton".
fn city(rng: &mut impl Rng) -> String {
    let name: &str = name::raw::LastName(EN).fake_with_rng(rng);
    if rng.random_ratio(1, 3) {
        let prefix: &str = address::raw::CityPrefix(EN).fake_with_rng(rng);
        return format!("{prefix} {name}");
    }
    let suffix: &str = address::raw::CitySuffix(EN).fake_with_rng(rng);
    format!("{name}{suffix}")
}

fn sentence(rng: &mut impl Rng, min: i64, max: i64) -> String {
    let count = rng.random_range(min..=max);
    let words = (0..count).map(|_| lorem::raw::Word(EN).fake_with_rng::<&str, _>(rng));
    let mut text = words.collect::<Vec<_>>().join(" ") + ".";
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

fn range<T: PartialOrd>(min: T, max: T) -> Result<(T, T), String> {
    if min > max {
        return Err("the maximum is less than the minimum".to_owned());
    }
    Ok((min, max))
}

fn integer(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("invalid integer `{text}`"))
}

fn date(text: &str) -> Result<NaiveDate, String> {
    text.parse().map_err(|_| format!("invalid date `{text}`; expected for example 2026-01-31"))
}

/// Parses a price with two decimal places, and returns it in hundredths.
fn hundredths(text: &str) -> Result<i64, String> {
    let (units, cents) = text.split_once('.').unwrap_or((text, "00"));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let joined = format!("{units}{cents}");
    match joined.parse() {
        Ok(price) if cents.len() == 2 && !units.is_empty() && digits(&joined) => Ok(price),
        _ => Err(format!("invalid price `{text}`; expected for example 12.50")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn email_is_derived_from_the_name() {
        assert_eq!(email("August", 1), "august1@example.com");
        assert_eq!(email("Ada O'Keefe Zoë", 12), "ada.okeefe.zo12@example.com");
        assert_eq!(email("例え", 3), "3@example.com");
    }

    #[test]
    fn invalid_declarations_are_rejected() {
        for (text, reason) in [
            ("names", "unknown kind `names`; expected one of first_name"),
            ("first_name(1)", "unknown kind `first_name(1)`; expected one of"),
            ("email(x)", "no preceding column is named x"),
            ("integer(1, 2", "missing closing parenthesis"),
            ("integer(1, x)", "invalid integer `x`"),
            ("integer(2, 1)", "the maximum is less than the minimum"),
            ("price(1.5, 2.00)", "invalid price `1.5`"),
            ("price(-1.50, 2.00)", "invalid price `-1.50`"),
            ("date(2026-02-30, 2026-03-01)", "invalid date `2026-02-30`"),
        ] {
            let error = Generator::parse(text, &["n"]).unwrap_err();
            assert!(error.starts_with(reason), "{text}: {error}");
        }
    }
}
