"""Tables of the fund, and one function per question or change."""
