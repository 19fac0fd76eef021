"""Rules of grading: grades, care dependence, panels, time limits, the procedure."""
