"""Rules of premiums: from signed order tallies to lines, bills, receipts, surcharge and bands.

Every function takes its day and the law's parameters as arguments; none reads a clock.
`lines.premium_lines` is the specification of the statement in store/assessment.py that computes a
month's lines.
"""
