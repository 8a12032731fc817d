"""The parts of a study's report, each from the same values."""
