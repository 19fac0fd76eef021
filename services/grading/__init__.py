"""Grading: labour-ability appraisal of confirmed injuries."""
