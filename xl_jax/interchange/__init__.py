"""Real encoders in, trained views out."""
