"""The tables of claims, a module for each aggregate: `store.claims.get(...)`."""
