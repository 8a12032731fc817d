"""The run directory: checkpoints, metrics, interrupts."""
