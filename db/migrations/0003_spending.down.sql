-- Undoes 0003_spending: every price list and every receipt is lost.

DROP TABLE katas.receipt;
DROP TABLE katas.price_list;
