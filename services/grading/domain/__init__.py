"""Rules of grading: the grade ladder, several injuries, care dependence, panels, time limits."""
