"""Tables of orders, and one function per question or change.

`intake` is what taking a batch needs, under the role that may COPY; `records` answers for orders
and batches; `log` for the Merkle log; `recounts` for verifying; `totals` for completeness;
`enrolled` keeps who is enrolled.
"""
