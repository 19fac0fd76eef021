"""Tables of premiums, and one function per question or change; no rule, no commit."""
