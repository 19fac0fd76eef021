"""The pages, a module for each task; `PAGES` of a module are its addresses."""
