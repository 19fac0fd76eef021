"""What an order record is, which rows are refused, how records are hashed and counted.

`columns` reads a batch into columns, `checks` gives each row its status, `encoding` writes rows as
bytes for hashing and for COPY, `merkle` builds trees and proofs, `judging` does all of it for one
batch, `gaps` compares declared with held totals, `records` picks the revision that counts.
"""
