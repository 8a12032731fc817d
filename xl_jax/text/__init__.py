"""Documents in: files, data sets, generated languages."""
