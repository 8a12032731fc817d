"""Encoder, MLM head, and the sharing mask over them."""
