"""Token shards to the rows of one step."""
