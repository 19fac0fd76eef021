"""Claims (待遇给付申请): accident reports, applications, and what the authority determines."""
