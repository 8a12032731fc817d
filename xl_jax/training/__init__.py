"""One jitted update of the parameters."""
