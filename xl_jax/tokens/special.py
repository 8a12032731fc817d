"""The special tokens, the same numbers in every vocabulary. Ordinary pieces start at N_SPECIAL."""

PAD, UNK, BOS, EOS, MASK = range(5)
N_SPECIAL = 5
NAMES = ("<pad>", "<unk>", "<s>", "</s>", "<mask>")
