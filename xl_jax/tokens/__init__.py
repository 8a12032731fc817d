"""Vocabularies, and shards of token numbers on disk."""
