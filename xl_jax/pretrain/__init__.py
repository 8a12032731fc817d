"""The pretraining loop; held-out perplexity."""
