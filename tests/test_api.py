"""A trained run from Python: vectors, records, a figure."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
from stored_run import unpack

from xl_jax.errors import InputError
from xl_jax.evaluate.api import TrainedRun, load
from xl_jax.report.figures import plot_layers

STORED = Path(__file__).parent / "stored"
SAID: list[str] = []


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    place = tmp_path_factory.mktemp("stored")
    unpack(place)
    with contextlib.chdir(place):  # and used from elsewhere
        return load("run", SAID.append)


@pytest.mark.slow
def test_lines_have_a_vector_each_at_every_layer(run: TrainedRun) -> None:
    assert (run.languages, run.step) == (("a", "b"), 8)
    lines = (STORED / "pairs.a").read_text().splitlines()[:5]
    encoder = run.encoder("a")
    found = [encoder.embed(lines, layer=n) for n in range(encoder.layers + 1)]
    for x in found:
        assert x.shape == (5, 16) and x.dtype == np.float32 and np.isfinite(x).all()
    assert not np.allclose(found[0], found[1]) and not np.allclose(found[1], found[2])
    np.testing.assert_array_equal(encoder.embed(lines), found[2])
    np.testing.assert_allclose(encoder.embed(lines[3:4]), found[2][3:4], atol=1e-5)
    for other in (run.encoder("b"), run.encoder("a", "untrained")):
        assert not np.allclose(other.embed(lines), found[2])
    assert encoder.embed([]).shape == (0, 16)
    assert np.isfinite(encoder.embed([""])).all()


def test_records_are_rows_of_one_table_and_make_a_figure(run: TrainedRun, tmp_path: Path) -> None:
    rows = run.records()
    assert {r["task"] for r in rows} == {"cka", "ner", "perplexity", "retrieval", "translation"}
    perplexity = [r for r in rows if r["metric"] == "perplexity"]
    assert [(r["source"], r["step"]) for r in perplexity] == [("a", 8), ("b", 8)]
    kept = [r for r in rows if r["task"] == "translation"]
    figure = plot_layers(kept, tmp_path / "words.png")
    assert figure.axes[0].get_title("left").endswith("a-b, 30 gold words")
    assert (tmp_path / "words.png").exists() and (tmp_path / "words.pdf").exists()


def test_refused_with_the_reason(run: TrainedRun, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown language .* 'de': .*known: a, b"):
        run.encoder("de")
    with pytest.raises(InputError, match="unknown weights of an encoder 'tuned'"):
        run.encoder("a", "tuned")
    with pytest.raises(InputError, match="layer 3: the encoder has layers 0 to 2"):
        run.encoder("a").embed(["x"], layer=3)
    with pytest.raises(InputError, match="a list of lines, not one string"):
        run.encoder("a").embed("x")
    with pytest.raises(InputError, match="is no run directory"):
        load(tmp_path)
