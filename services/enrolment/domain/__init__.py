"""Rules of enrolment: what a platform is, who is one person, what becomes of each row."""
