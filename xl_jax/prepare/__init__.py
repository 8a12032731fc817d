"""Text to token shards, in parallel, and a report on it."""
