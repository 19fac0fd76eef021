"""The tables of claims, with a module for each aggregate: `store.claims.get(...)`."""
