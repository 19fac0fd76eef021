"""Rules of enrolment: what a platform is, what makes one person, and the outcome of each row."""
