"""Reader, head, loss and scores of each downstream task."""
