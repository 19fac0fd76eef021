"""Enrolment (参保登记): who is insured through which platform."""
