//! Katas and their parameters, as requests and stored runs have them.

use json::{Fields, FromFields};
use rules::{Amount, PriceListName};
use serde::Serialize;

/// A kata and its parameters. Serializes the parameters.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Task {
    NthChar(NthChar),
    Spending(Spending),
}

/// The parameters of an nth-char run.
#[derive(Serialize)]
pub struct NthChar {
    /// The name of the column with the words.
    pub column: String,
}

/// The parameters of a spending run.
#[derive(Serialize)]
pub struct Spending {
    /// The name of the column with the items.
    pub item_column: String,
    pub price_list: PriceListName,
    /// The tax rate as a fraction: 0.09 is 9 %.
    pub tax: Amount,
    /// The name of the column with the group keys. `None` calculates one total.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_by: Option<String>,
}

impl Task {
    /// Creates a task from the parameters of a stored run. `column` is the only column of nth-char, or
    /// the column with the items. Returns `None` when a parameter is invalid.
    pub fn from_parameters(
        column: String,
        price_list: Option<String>,
        tax: Option<String>,
        group_by: Option<String>,
    ) -> Option<Task> {
        let Some(price_list) = price_list else { return Some(Task::NthChar(NthChar { column })) };
        let price_list = PriceListName::new(price_list).ok()?;
        let tax = Amount::parse(&tax?).ok()?;
        Some(Task::Spending(Spending { item_column: column, price_list, tax, group_by }))
    }

    pub fn kata(&self) -> &'static str {
        match self {
            Task::NthChar(_) => "nth-char",
            Task::Spending(_) => "spending",
        }
    }

    /// Returns the name of the price list that the kata uses, if any.
    pub fn price_list(&self) -> Option<&PriceListName> {
        match self {
            Task::NthChar(_) => None,
            Task::Spending(spending) => Some(&spending.price_list),
        }
    }
}

impl FromFields for Task {
    const ALLOW_UNKNOWN_FIELDS: bool = true;

    fn from_fields(fields: &mut Fields) -> Option<Task> {
        match fields.required::<String>("kata")?.as_str() {
            "nth-char" => NthChar::from_fields(fields).map(Task::NthChar),
            "spending" => Spending::from_fields(fields).map(Task::Spending),
            _ => {
                fields.error(&["kata"], "must be nth-char or spending");
                None
            }
        }
    }
}

impl FromFields for NthChar {
    fn from_fields(fields: &mut Fields) -> Option<NthChar> {
        fields.required("column").map(|column| NthChar { column })
    }
}

impl FromFields for Spending {
    fn from_fields(fields: &mut Fields) -> Option<Spending> {
        let item_column = fields.required("item_column");
        let price_list = fields.parse("price_list", PriceListName::new);
        let tax = fields.parse("tax", orders::amount);
        let group_by = fields.optional("group_by");
        Some(Spending {
            item_column: item_column?,
            price_list: price_list?,
            tax: tax?,
            group_by: group_by?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_from_stored_parameters_is_the_task_of_the_request() {
        let text = |text: &str| Some(text.to_owned());
        for (body, price_list, tax, group_by) in [
            (r#"{"kata":"nth-char","column":"c","x":1}"#, None, None, None),
            (
                r#"{"tax":0.090,"kata":"spending","item_column":"c","price_list":"p"}"#,
                text("p"),
                text("0.09"),
                None,
            ),
            (
                r#"{"kata":"spending","item_column":"c","price_list":"p","tax":1e2,"group_by":"g"}"#,
                text("p"),
                text("100"),
                text("g"),
            ),
        ] {
            let task: Task = json::from_slice(body.as_bytes()).unwrap();
            let stored = Task::from_parameters("c".to_owned(), price_list, tax, group_by).unwrap();
            let parameters = |task| serde_json::to_string(task).unwrap();
            assert_eq!((stored.kata(), parameters(&stored)), (task.kata(), parameters(&task)));
        }
    }
}
