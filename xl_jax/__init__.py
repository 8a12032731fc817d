"""Which parameters must two languages share? Masked language models with sharing masks, in JAX."""
