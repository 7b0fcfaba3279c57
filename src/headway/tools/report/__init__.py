"""A page that shows what was measured: one HTML file, to look at and to keep."""
