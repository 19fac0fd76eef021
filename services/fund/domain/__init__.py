"""Rules of the fund: ledger, equalisation, reserve and loan, settlement. No I/O, no clock."""
