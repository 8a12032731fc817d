"""Fine-tuning on one language, scoring the others."""
