"""Print a sharing mask without training: every parameter leaf, its shape, and who shares it.

    python tools/show_mask.py --config=configs/tiny.py:sep_emb
    python tools/show_mask.py --config.sharing=sep_l1_2

No text is read: the vocabulary is taken to be as large as the config wants it. Then the numbers of
parameters: of all variants, shared by all languages, shared by some, and private to each.
"""

if __name__ == "__main__":
    from xl_jax import stopping

    stopping.listen()  # before the imports below

from xl_jax import cli, config_flags


def main() -> None:
    config = config_flags.config()
    from xl_jax.model.shared_model import SharedModel

    print(SharedModel.abstract(config).describe())


if __name__ == "__main__":
    cli.run(main, __doc__, config_flags.parse)
