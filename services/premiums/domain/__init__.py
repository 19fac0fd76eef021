"""Rules of premiums: from signed order tallies to lines, bills, receipts, surcharge and bands.

Every function takes its day and the law's parameters as arguments; none reads a clock. `assessing`
is the specification of the one statement in store/assessing.py that does a month's work.
"""
