"""What an order record is, which rows are refused, how records are hashed, counted and compared.

`row_rules` refuses rows over whole columns, `prepared_batches` does everything about a batch that
needs no database, `resolutions` decides about rows that may be held already, `logs` knows a
platform's log, `orders` says which revisions are late, `legs` who executed an order, `found_orders`
what was known of it at a moment, `gaps` compares declared with held totals.
"""
