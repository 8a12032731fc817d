"""What is done to a run by `tools/torture.py`, and how it comes out."""
