"""Changes of orders: take a batch, freeze a worker's records, declare a day's totals.

`intake` takes batches with the help of `workers` (processes that run `worker`), `enrolled` (who is
enrolled with whom) and `signing` (the key of the logs). `evidence` proves;
`verifying` and `walking` compare everything held with everything else. Nothing is imported here, so
that a worker process loads no more than it needs.
"""
