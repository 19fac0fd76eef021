"""Rules of claims: lifecycle, evidence, confirmation, attribution and time limits."""
