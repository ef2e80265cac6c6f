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
    /// Parses the parameters of a stored run.
    pub fn parse(kata: &str, parameters: &str) -> Result<Task, json::Error> {
        match kata {
            "nth-char" => json::from_slice(parameters.as_bytes()).map(Task::NthChar),
            _ => json::from_slice(parameters.as_bytes()).map(Task::Spending),
        }
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
    fn stored_parameters_are_parsed_into_the_same_task() {
        for (body, parameters) in [
            (r#"{"kata":"nth-char","column":"w","x":1}"#, r#"{"column":"w"}"#),
            (
                r#"{"tax":0.090,"kata":"spending","item_column":"i","price_list":"p"}"#,
                r#"{"item_column":"i","price_list":"p","tax":0.09}"#,
            ),
            (
                r#"{"kata":"spending","item_column":"i","price_list":"p","tax":1e2,"group_by":"g"}"#,
                r#"{"item_column":"i","price_list":"p","tax":100,"group_by":"g"}"#,
            ),
        ] {
            let task: Task = json::from_slice(body.as_bytes()).unwrap();
            assert_eq!(serde_json::to_string(&task).unwrap(), parameters);
            let stored = Task::parse(task.kata(), parameters).unwrap();
            assert_eq!(serde_json::to_string(&stored).unwrap(), parameters);
        }
    }
}
