"""The mesh of devices; several processes."""
