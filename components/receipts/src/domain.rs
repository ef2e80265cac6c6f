//! The calculation of receipts.

use orders::Order;
use rules::{Amount, AmountError, Prices};
use serde::Serialize;

/// A receipt that has not been stored yet.
#[derive(Debug, PartialEq)]
pub struct NewReceipt<'a> {
    /// The items that have a price.
    pub lines: Vec<Line<'a>>,
    /// The items without a price.
    pub ignored: Vec<&'a str>,
    /// The sum of the lines, rounded to two places.
    pub subtotal: Amount,
    /// The total minus the subtotal, so that subtotal and tax add up to the total.
    pub tax: Amount,
    /// The tax rate as a fraction: 0.09 is 9 %.
    pub tax_rate: Amount,
    /// The exact sum with tax, rounded once.
    pub total: Amount,
}

/// One item of a receipt. Amounts are text with at least two decimal places.
#[derive(Debug, PartialEq, Serialize)]
pub struct Line<'a> {
    item: &'a str,
    quantity: u64,
    unit_price: String,
    amount: String,
}

impl<'a> NewReceipt<'a> {
    /// Calculates the receipt of an order at these prices.
    pub fn new(order: &'a Order, prices: &'a Prices) -> Result<NewReceipt<'a>, AmountError> {
        let bill = order.bill(prices);
        let lines = bill.lines().map(|line| {
            let (unit_price, amount) = (line.unit_price.money(), line.amount()?.money());
            Ok(Line { item: line.item, quantity: line.quantity, unit_price, amount })
        });
        let (subtotal, total) = (bill.subtotal()?.rounded(), bill.total(order.tax_rate)?);
        Ok(NewReceipt {
            lines: lines.collect::<Result<_, AmountError>>()?,
            ignored: order.ignored(prices),
            subtotal,
            tax: total.saturating_sub(subtotal),
            tax_rate: order.tax_rate,
            total,
        })
    }
}

#[cfg(test)]
mod tests {
    use orders::PriceSource;

    use super::*;

    #[test]
    fn subtotal_and_tax_add_up_to_total() {
        let amount = |digits| Amount::parse(digits).expect("a number");
        let prices = [("a", "0.333"), ("b", "0.005")];
        let prices = prices.map(|(item, price)| (item.to_owned(), amount(price)));
        let prices = Prices::new(prices.into()).expect("no duplicate item");
        let order = Order {
            items: ["b", "a", "x", "a"].map(str::to_owned).into(),
            source: PriceSource::Costs(prices.clone()),
            tax_rate: amount("0.09"),
        };
        // The subtotal is 0.671, the total 0.73139.
        let receipt = NewReceipt::new(&order, &prices).expect("no overflow");
        let sums = [receipt.subtotal, receipt.tax, receipt.total];
        assert_eq!(sums, ["0.67", "0.06", "0.73"].map(amount));
        assert_eq!(receipt.ignored, ["x"]);
        let a = &receipt.lines[1];
        assert_eq!((a.item, a.quantity), ("a", 2));
        assert_eq!((a.unit_price.as_str(), a.amount.as_str()), ("0.333", "0.666"));
    }
}
