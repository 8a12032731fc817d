"""Records to tables and figures; computes nothing."""
