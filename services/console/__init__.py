"""The console: pages in the browser for the scheme's users."""
