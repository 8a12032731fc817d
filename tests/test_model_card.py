"""What a model card says was measured: of this step, and chosen without the test data."""

from pathlib import Path

from tests import toy
from tests.text_toy import make, write_text
from xl_jax.analysis import record
from xl_jax.analysis.record import Record, RecordFile
from xl_jax.interchange.model_card import measured
from xl_jax.runs.run_directory import Run


def test_results_and_no_settings_steps_or_damaged_files(tmp_path: Path) -> None:
    data = make(tmp_path, {"en": write_text(tmp_path / "a.txt", 300, 0), "fr": "twin:en"})
    config = toy.config()
    run = Run(tmp_path / "run", config, data, toy.model(config))
    common = {"source": "en", "target": "fr", "model": "trained", "step": 8, "data": "d"}
    layers = [Record("m", x, layer=i, n=9, **common) for i, x in enumerate((0.25, 0.5))]
    files = {
        "ner": [
            Record("f1", 0.9, extras={"kind": "setting"}, **common),
            Record("f1", 0.7, n=50, extras={"kind": "result"}, **common),
        ],
        "m": [*layers, Record("m", 0.99, layer=0, **common | {"step": 4})],
        "steps-m": [Record("m", 0.98, layer=0, **common)],
        "damaged": [Record("m", 0.97, layer=0, **common)],
        "perplexity": [Record("perplexity", 3.0, "fr", chance=0.125)],
    }
    for name, records in files.items():
        path = run.folder / "eval" / f"{name}.json"
        record.write(path, RecordFile("run", name, {}, records))
    path = run.folder / "eval" / "damaged.json"
    path.write_text(path.read_text().replace("0.97", "0.96"))
    said: list[str] = []
    assert list(measured(run, "fr", 8, said.append)) == [
        ["m", "en", "1", "0.5", "", "9", "d"],
        ["f1", "en", "", "0.7", "", "50", "d"],
        ["perplexity", "", "", "3", "0.125", "", "held-out text"],
    ]
    assert len(said) == 1 and "damaged.json is damaged" in said[0] and "left out" in said[0]
