"""A run (or two) to records of what was measured."""
