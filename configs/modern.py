"""A modern encoder on two real languages: pre-norm RMSNorm, rotary positions, GEGLU, no biases.

    python train.py --config=configs/modern.py:en,fr --workdir=runs/modern \\
      --config.corpora.en='files:text/en/*.txt' --config.corpora.fr='files:text/fr/*.txt'

Text, rows, steps and optimizer are those of bilingual_cpu.py, so that the two compare. The gated
feed-forward has 2/3 of its width, three maps in place of two: as many parameters, and as many
operations a step. Cost: bilingual_cpu.py says what a run of it takes; this one has not been trained
to its end. Rows of 24 tokens need no windows; longer ones: --config.model.window=128
--config.model.global_every=3 .

Other choices of today's encoders that this file leaves as the paper's: fewer tokens are masked
towards the end (--config.masking.last_rate=0.05), and languages come in stages
(--config.batch.schedule). docs/encoder.md describes every option.
"""

from ml_collections import config_dict

from configs.bilingual_cpu import get_config as bilingual_cpu


def get_config(languages: str = "en,fr") -> config_dict.ConfigDict:
    config = bilingual_cpu(languages)
    config.model.update(
        position_encoding="rope",
        norm="pre",
        norm_kind="rms",
        norm_eps=1e-5,
        activation="geglu",
        ffn=344,  # 2/3 of 512, a multiple of 8
        bias=False,
    )
    return config
