"""Changes of orders and the answers that take more than a query.

`intake` accepts batches: `preparation` has a reader process validate them, `batches` records them
in one transaction. `gaps` declares and compares totals, `freezes` keeps a worker's records,
`enrolments` follows enrolment, `proofs` and `archives` answer from the log, `log_key` holds the key
of the logs.
"""
