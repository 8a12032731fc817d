"""The work of `prepare` as Apache Beam pipelines, for corpora past one machine.

Every stage is a pipeline over the same pieces that `workers.Processes` does on one machine. Workers
need this package, the text, and the output folder: storage that all of them mount under one path.
"""

import pickle
from collections.abc import Sequence

from xl_jax.errors import InputError
from xl_jax.prepare.workers import Piece


class Beam:
    """A `workers.Run` with Beam's own flags, e.g. `--runner=FlinkRunner`.

    Raises:
      InputError: Beam is not installed.
    """

    def __init__(self, flags: Sequence[str]):
        try:
            import apache_beam
        except ImportError as error:
            raise InputError(
                "apache_beam is not installed: pip install -r requirements-beam.txt, in an "
                "environment of its own"
            ) from error
        self._beam, self._flags = apache_beam, list(flags)

    def __call__(self, pieces: Sequence[Piece], label: str) -> None:
        beam = self._beam
        options = beam.options.pipeline_options.PipelineOptions(self._flags)
        with beam.Pipeline(options=options) as pipeline:
            (
                pipeline
                | f"{label}: parts" >> beam.Create([pickle.dumps(piece) for piece in pieces])
                | f"{label}: anywhere" >> beam.Reshuffle()
                | label >> beam.Map(_do)
            )


def _do(pickled: bytes) -> None:
    """A pickle hides from Beam that a piece is a tuple, which it would take to pieces."""
    piece: Piece = pickle.loads(pickled)
    piece.do()
