//! The totals of spending runs.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;

use rfc4180::{Rows, write_row};
use rules::{Amount, AmountError};

const MAX_GROUPS: usize = 10_000;
/// The maximum total size of the group keys: 1 MiB.
const MAX_KEY_BYTES: usize = 1 << 20;

/// The reason why totals cannot be calculated.
#[derive(Debug, PartialEq)]
pub enum TotalsError {
    /// There are too many groups, or their keys are too long.
    TooManyGroups,
    /// A sum has too many digits.
    Amount(AmountError),
}

impl fmt::Display for TotalsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TotalsError::TooManyGroups => {
                write!(f, "exceeds {MAX_GROUPS} groups or {MAX_KEY_BYTES} bytes of group keys")
            }
            TotalsError::Amount(error) => write!(f, "has a total that {error}"),
        }
    }
}

impl From<AmountError> for TotalsError {
    fn from(error: AmountError) -> TotalsError {
        TotalsError::Amount(error)
    }
}

/// Sums by group while rows are read. They do not depend on the order in which amounts are added.
#[derive(Debug, Default)]
pub struct Sums {
    /// Not sorted, because a row would be compared with many groups, and long common prefixes take
    /// long to compare.
    sums: HashMap<String, Amount>,
    key_bytes: usize,
}

impl Sums {
    /// Adds an amount to a group.
    pub fn add(&mut self, group: &str, amount: Amount) -> Result<(), TotalsError> {
        if let Some(sum) = self.sums.get_mut(group) {
            *sum = sum.checked_add(amount)?;
            return Ok(());
        }
        self.key_bytes += group.len();
        if self.sums.len() == MAX_GROUPS || self.key_bytes > MAX_KEY_BYTES {
            return Err(TotalsError::TooManyGroups);
        }
        self.sums.insert(group.to_owned(), amount);
        Ok(())
    }

    /// Returns the sums in the order of the groups.
    pub fn into_totals(self) -> Totals {
        let mut sums: Vec<_> = self.sums.into_iter().collect();
        sums.sort_unstable_by(|(a, _), (b, _)| compare(a, b));
        Totals { sums }
    }
}

/// Compares two keys by their bytes.
///
/// WebAssembly has no instruction for this, and the standard library compares byte by byte: to sort
/// ten thousand keys with a long common prefix would take more than 10 ms.
fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let words = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
    let common = 8 * words.take_while(|(a, b)| a == b).count();
    a[common..].cmp(&b[common..])
}

/// Sums by group, in the order of the groups.
#[derive(Debug, Default, PartialEq)]
pub struct Totals {
    sums: Vec<(String, Amount)>,
}

impl Totals {
    /// Adds sums that [`Totals::to_csv`] has written. Both are in the order of the groups.
    pub fn add_csv(&mut self, csv: &str) -> Result<(), TotalsError> {
        let mut known = std::mem::take(&mut self.sums).into_iter().peekable();
        let mut rows = Rows::new(csv);
        while let Some(row) = rows.next() {
            let group = row.get(0).unwrap_or_default();
            let amount = row.get(1).and_then(Amount::from_exact).unwrap_or(Amount::ZERO);
            while let Some(earlier) = known.next_if(|(key, _)| compare(key, group).is_lt()) {
                self.sums.push(earlier);
            }
            let sum = match known.next_if(|(key, _)| compare(key, group).is_eq()) {
                Some((_, sum)) => sum.checked_add(amount)?,
                None => amount,
            };
            self.sums.push((group.to_owned(), sum));
        }
        self.sums.extend(known);
        let key_bytes: usize = self.sums.iter().map(|(group, _)| group.len()).sum();
        match self.sums.len() > MAX_GROUPS || key_bytes > MAX_KEY_BYTES {
            true => Err(TotalsError::TooManyGroups),
            false => Ok(()),
        }
    }

    /// Returns the groups and their exact sums as rows of CSV.
    pub fn to_csv(&self) -> String {
        let mut csv = Vec::new();
        for (group, sum) in &self.sums {
            write_row([group.as_str(), &sum.exact()], &mut csv);
        }
        String::from_utf8(csv).unwrap_or_default()
    }

    /// Returns the groups in byte order with their totals including tax, each rounded once.
    pub fn with_tax(self, tax_rate: Amount) -> Result<Vec<(String, Amount)>, TotalsError> {
        let factor = Amount::ONE.checked_add(tax_rate)?;
        let total =
            |(group, sum): (String, Amount)| Ok((group, sum.checked_mul(factor)?.rounded()));
        self.sums.into_iter().map(total).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(digits: &str) -> Amount {
        Amount::parse(digits).unwrap()
    }

    fn totals(amounts: &[(&str, &str)]) -> Totals {
        let mut sums = Sums::default();
        for (group, digits) in amounts {
            sums.add(group, amount(digits)).unwrap();
        }
        sums.into_totals()
    }

    #[test]
    fn group_totals_include_tax_and_are_in_byte_order() {
        let totals = totals(&[("b", "5"), ("a", "0"), ("b", "60"), ("c", "5"), ("c", "5")]);
        let expected = [("a", "0"), ("b", "70.85"), ("c", "10.9")];
        let expected = expected.map(|(group, total)| (group.to_owned(), amount(total)));
        assert_eq!(totals.with_tax(amount("0.09")).unwrap(), expected);
    }

    #[test]
    fn too_many_or_too_long_groups_are_an_error() {
        let mut sums = Sums::default();
        for group in 0..MAX_GROUPS {
            sums.add(&group.to_string(), Amount::ONE).unwrap();
        }
        assert_eq!(sums.add("0", Amount::ONE), Ok(()));
        assert_eq!(sums.add("one more", Amount::ONE), Err(TotalsError::TooManyGroups));
        let mut sums = Sums::default();
        assert_eq!(sums.add(&"x".repeat(MAX_KEY_BYTES), Amount::ONE), Ok(()));
        assert_eq!(sums.add("y", Amount::ONE), Err(TotalsError::TooManyGroups));
    }

    #[test]
    fn keys_are_compared_by_their_bytes() {
        let keys = [
            "",
            "a",
            "ab",
            "ä",
            "12345678",
            "123456789",
            "12345678ä",
            "12345687",
            "1234567812345679",
        ];
        for a in keys {
            for b in keys {
                assert_eq!(compare(a, b), a.cmp(b), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn sums_of_parts_add_up_to_the_sums_of_all_amounts() {
        let amounts = [("a,\"\r\n", "0.5"), ("", "1e-20"), ("a,\"\r\n", "0.5"), ("ä", "7")];
        for split in 0..=amounts.len() {
            let (first, second) = amounts.split_at(split);
            let mut merged = Totals::default();
            for part in [second, first] {
                merged.add_csv(&totals(part).to_csv()).unwrap();
            }
            assert_eq!(merged, totals(&amounts));
            assert_eq!(merged.to_csv(), totals(&amounts).to_csv());
        }
    }

    #[test]
    fn too_many_groups_of_parts_are_an_error() {
        let part = |groups: std::ops::Range<usize>| {
            groups.map(|group| format!("{group:05},1\r\n")).collect::<String>()
        };
        let mut merged = Totals::default();
        merged.add_csv(&part(5_000..10_000)).unwrap();
        merged.add_csv(&part(0..10_000)).unwrap();
        assert_eq!(merged.add_csv(&part(0..10_001)), Err(TotalsError::TooManyGroups));
        let long = format!("{},1\r\n", "x".repeat(MAX_KEY_BYTES));
        let mut merged = Totals::default();
        merged.add_csv(&long).unwrap();
        assert_eq!(merged.add_csv("y,1\r\n"), Err(TotalsError::TooManyGroups));
    }
}
