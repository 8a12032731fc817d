"""Features, maps, retrieval, CKA, intervals; pure functions."""
