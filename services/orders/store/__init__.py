"""Tables of orders, and one function for each query or change.

`intake` and `staging` write batches under the role that may COPY, `batches` keeps their receipts,
`orders` answers for order records, `logs` for the Merkle log, `totals`, `tallies` and `gaps` for
completeness, `legs` for the legs that count, `freezes`, `registrations` and `enrolments` for their
tables; `invariants` serves `oip verify`.
"""
