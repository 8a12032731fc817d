"""The report of a study, from literal records: what its page, Markdown, LaTeX and CSV say."""

import csv
import dataclasses
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from xl_jax.analysis.curves import summaries
from xl_jax.analysis.expected import Expected
from xl_jax.analysis.record import Record
from xl_jax.report import metrics, study_report, style
from xl_jax.report.document import NONE, Cell, Column, Table, number
from xl_jax.report.formats import csv_files, latex, markdown
from xl_jax.report.sections import correlations, curves, masks, table1
from xl_jax.report.study_records import Row, RunRecords, StudyRecords
from xl_jax.report.values import BEST, TOP, Key, Measure, Values

NASTY = '<script>alert("1")</script> & $x_1$ | \\n'
RETRIEVAL = Measure("sentence_retrieval")
NER = Measure("f1", (("task", "ner"),))


def retrieval(values: list[float], model: str = "trained", **more: Any) -> list[Record]:
    common = dict(chance=0.01, n=100, data="gold", model=model, step=9 * (model == "trained"))
    return [
        Record("sentence_retrieval", v, "en", "fr", layer, extras=more, **common)
        for layer, v in enumerate(values)
    ]


def ner(value: float, target: str = "fr") -> Record:
    extras = {"kind": "result", "task": "ner"}
    return Record("f1", value, "en", target, n=50, model="trained", step=9, extras=extras)


def run(row: str, seed: int, values: list[float], f1: float) -> RunRecords:
    records = [*retrieval(values), *retrieval([0.02, 0.01], "untrained"), ner(f1), ner(0.8, "en")]
    training = [{"step": 5, "loss": 4.0, "heldout_ppl/en": 9.0}, {"step": 9, "loss": 3.0}]
    return RunRecords(row, seed, "", f"runs/{row}/{seed}", records=records, training=training)


def expected(row: str, value: float) -> Expected:
    return Expected(row, "en-fr", "ner", "f1", value, "A. Author 2020, Table 1")


STUDY = StudyRecords(
    title=f"Study of {NASTY}",
    rows=[
        Row("default", "Default", "all"),
        Row("sep", NASTY, "parts"),
        Row("late", "not yet", "parts"),
    ],
    runs=[
        run("default", 0, [0.9, 0.8], 0.70),
        run("default", 1, [0.9, 0.6], 0.74),
        run("sep", 0, [0.5, 0.2], 0.50),
        run("sep", 1, [0.5, 0.4], 0.54),
        RunRecords("late", 0, state="failed", notes=["eval/cka.json is damaged; left out"]),
        RunRecords("late", 1, state="waiting"),
    ],
    reference="default",
    expected=[expected("default", 0.798), expected("sep", 0.755), expected("late", 0.74)],
    command="python tools/run_study.py --config=x.py",
    facts={"commit": "abc"},
)


@pytest.fixture(scope="module")
def values() -> Values:
    return Values(STUDY)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    study_report.write(STUDY, folder)
    return folder


class Page(HTMLParser):
    """Tables by id as rows of texts; ids; tags; text of everything that is no script or style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self._table, self._cell, self._hidden = "", False, False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.ids += [i for i in [given.get("id")] if i]
        if tag == "table":
            self._table = given["id"] or ""
            self.tables[self._table] = []
        if tag == "tr":
            self.tables[self._table].append([])
        if tag in ("th", "td"):
            self.tables[self._table][-1].append("")
            self._cell = True
        self._hidden = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("th", "td"):
            self._cell = False
        self._hidden = self._hidden and tag not in ("script", "style")

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.tables[self._table][-1][-1] += data
        self.text += "" if self._hidden else data


def test_values_are_by_layer_and_the_untrained_ones_apart(values: Values) -> None:
    key = Key("default", "en-fr", 1, RETRIEVAL, "trained")
    assert values.by_layer(key) == {0: 0.9, 1: 0.6}
    assert values.at(key, BEST) == (0.9, 0) and values.at(key, TOP) == (0.6, 1)
    untrained = values.spread("sep", "en-fr", RETRIEVAL, BEST, "untrained")
    assert untrained is not None and untrained.mean == 0.02
    assert values.spread("late", "en-fr", RETRIEVAL, BEST) is None
    assert values.pairs == ["en-fr", "en"]  # in English itself: a value of one language
    assert values.pairs_of(NER) == ["en-fr", "en"]


def test_differences_are_of_pairs_of_languages_alone(values: Values) -> None:
    delta = values.delta("sep", NER, TOP)
    assert delta is not None and delta.mean == pytest.approx(0.52 - 0.72)
    assert values.delta("default", NER, TOP) is None and values.delta("late", NER, TOP) is None


def test_directions_are_averaged_and_ways_of_scoring_kept_apart() -> None:
    records = [
        Record("new_score", v, a, b, 0, extras={"centred": c, "kernel": k, "strength": v})
        for v, a, b, c, k in (
            (0.2, "en", "fr", False, "x"), (0.4, "fr", "en", False, "x"),
            (0.6, "en", "fr", True, "x"), (0.8, "en", "fr", True, "y"),
        )
    ]  # fmt: skip
    found = Values(StudyRecords("", [Row("a")], [RunRecords("a", 0, records=records)]))
    names = [found.title(m) for m in found.measures]
    assert names == [
        "new score, x100 (x)",
        "new score, x100 (languages centred, x)",
        "new score, x100 (languages centred, y)",
    ]
    main, *_ = found.measures
    assert found.main_measures() == [main]
    key = Key("a", "en-fr", 0, main, "trained")
    assert found.by_layer(key) == {0: pytest.approx(0.3)}


def test_a_best_layer_chosen_on_a_development_set_is_kept() -> None:
    chosen = Record("best_layer", 0.3, "en", "fr", 1, model="trained")
    extras = {"of": "linear_probe", "chosen_on": "en dev"}
    scores = [
        Record("linear_probe", v, "en", "fr", i, model="trained") for i, v in enumerate((0.5, 0.3))
    ]
    records = [*scores, Record(**{**vars(chosen), "extras": extras})]
    found = Values(StudyRecords("", [Row("a")], [RunRecords("a", 0, records=records)]))
    assert found.at(Key("a", "en-fr", 0, Measure("linear_probe"), "trained"), BEST) == (0.3, 1)


def test_debiased_cka_stands_in_place_of_the_other() -> None:
    records = [Record(m, 0.5, "en", "fr", 0, model="trained") for m in ("cka", "cka_debiased")]
    found = Values(StudyRecords("", [Row("a")], [RunRecords("a", 0, records=records)]))
    assert [m.metric for m in found.measures] == ["cka_debiased"]


def test_table_1_has_ours_beside_the_published(values: Values) -> None:
    table = table1.table(values, values.main_measures(*table1.GRADED), TOP)
    default, sep, late = csv.DictReader(csv_files.table(table).splitlines())
    assert sep["group"] == "parts" and sep["row"] == NASTY and sep["seeds"] == "2"
    f1, p1 = "NER span F1, %", "sentence retrieval, P@1 %"
    ours = {k.removeprefix(f"{f1}: "): v for k, v in sep.items() if k.startswith(f1)}
    assert ours == {
        # Two seeds, 50 and 54: sd 8 ** 0.5, Student's interval 52 +- 12.706 * 2.
        **{"en-fr": "52", "en-fr: sd": "2.82843"},
        **{"en-fr: low": "26.5876", "en-fr: high": "77.4124"},
        "en-fr, published": "75.5",
        **{"en": "80", "en: sd": "0", "en: low": "80", "en: high": "80"},
        # Welch: standard error 8 ** 0.5, 2 degrees of freedom.
        **{"Δ": "-20", "Δ: low": "-32.1697", "Δ: high": "-7.83026"},
    }
    assert (default[f"{p1}: en-fr"], sep[f"{p1}: Δ"]) == ("70", "-40")
    assert (sep["published, Δ: NER"], late["published, Δ: NER"]) == ("-4.3", "-5.8")
    assert {v for k, v in late.items() if "published" not in k} == {"parts", "not yet", ""}
    assert default[f"{f1}: Δ"] == ""  # the reference itself


def test_markdown_and_latex_escape_what_they_are_given() -> None:
    table = Table(
        "small",
        "50 % of <b>",
        [Column("row", text=True), Column("Δ", "a_b"), Column("c", "a_b")],
        [("g&h", [[Cell(NASTY), Cell(number(-1.25, 2), -1.25), NONE]])],
    )
    assert markdown.table(table).splitlines() == [
        r"| row | a\_b: Δ | a\_b: c |",
        "| :--- | ---: | ---: |",
        r"| *g&amp;h* |  |  |",
        r'| \<script\>alert("1")\</script\> &amp; \$x\_1\$ \| \\n | −1.25 | – |',
    ]
    assert latex.table(table).splitlines() == [
        r"\begin{table}[htbp]\centering\small",
        r"\caption{50 \% of \textless{}b\textgreater{}}\label{tab:small}",
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r" & \multicolumn{2}{c}{a\_b} \\",
        r"\cmidrule(lr){2-3}",
        r"row & $\Delta$ & c \\",
        r"\midrule",
        r"\multicolumn{3}{l}{\textit{g\&h}} \\",
        r"\textless{}script\textgreater{}alert(\textquotedbl{}1\textquotedbl{})"
        r"\textless{}/script\textgreater{} \& \$x\_1\$ \textbar{} \textbackslash{}n & "
        r"$-$1.25 & -- \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    assert markdown.code("a ``` b") == "````\na ``` b\n````"
    assert latex.escape("--runs=\x1b[1m") == r"{-}{-}runs=\textbackslash{}x1b[1m"


@pytest.mark.slow
def test_the_page_holds_the_numbers_and_no_markup_of_others(written: Path) -> None:
    text = (written / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    head, _, default, _, sep, late = page.tables["table-table1"][-6:]
    assert head[:4] == ["row", "seeds", "NER", "en-fr"]
    assert default[:4] == ["Default", "2", "0.0", "72.0 (2.8)"]
    assert sep[:2] == [NASTY, "2"] and "−20.0" in sep and "75.5" in sep
    assert late == ["not yet", "–", "−5.8", "–", "74.0", "–", "–", "–", "–"]
    assert page.tags.count("script") == 1  # our own; those in names are text
    assert len(page.ids) == len(set(page.ids))
    assert not re.search(r"""(src|href)=["'](https?:|//)|@import|url\(["']?http""", text)
    assert "http" not in re.sub(r"http://www\.w3\.org/[\w/]+", "", text)
    for section in ("table1", "masks", "layers", "training", "runs"):
        assert section in page.ids
    assert "late, seed 0: eval/cka.json is damaged; left out" in page.text
    assert "2 runs have no results (1 failed, 1 waiting)" in page.text
    assert page.text.count(STUDY.command) >= 4  # beside the numbers of each section
    assert NASTY in page.text


@pytest.mark.slow
def test_every_figure_is_inline_and_a_file_with_its_data_behind_it(written: Path) -> None:
    text = (written / "index.html").read_text(encoding="utf-8")
    names = re.findall(r'<figure id="figure-([^"]+)"', text)
    assert {"deltas", "masks_1", "layers_1", "rows_layers_1", "training_loss"} <= set(names)
    for name, body in zip(names, text.split("<figure ")[1:], strict=True):
        assert "<svg" in body and "<details>" in body and "<table" in body
        assert (written / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (written / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    shown = (written / "report.md").read_text(encoding="utf-8")
    for name in re.findall(r"\]\((\S+)\)", shown):
        assert (written / name).exists()
    source = (written / "report.tex").read_text(encoding="utf-8")
    for name in re.findall(r"\\input\{([^}]+)\}|\{(figures/[^}]+)\}", source):
        assert (written / max(name)).exists()
    assert source.count("{") - source.count(r"\{") == source.count("}") - source.count(r"\}")


@pytest.mark.slow
def test_the_same_records_give_the_same_bytes(written: Path, tmp_path: Path) -> None:
    """Of one figure in each format, and of the page's text around the figures."""
    section = masks.section(Values(STUDY))
    assert section is not None
    figure = section.figures[0]
    with style.applied():
        drawing = figure.draw()
        style.save(drawing, tmp_path / "again.png")
        svg = style.svg(drawing, figure.name)
    assert svg in (written / "index.html").read_text(encoding="utf-8")
    for ending in ("png", "pdf"):
        first = (written / "figures" / f"{figure.name}.{ending}").read_bytes()
        assert (tmp_path / f"again.{ending}").read_bytes() == first


def test_curves_have_their_last_step_and_when_they_rise() -> None:
    scores = [
        dataclasses.replace(r, step=step, low=r.value - 0.1, high=r.value + 0.1)
        for step, v in ((8, 0.9), (2, 0.1), (4, 0.6))
        for r in retrieval([v / 2, v])
    ]
    records = [*scores, *retrieval([0.0, 0.02], "untrained"), *summaries(scores)]
    study = StudyRecords("", [Row("a")], [RunRecords("a", 0, records=records)])
    values = Values(study)
    assert values.item_interval("a", "en-fr", RETRIEVAL, TOP) == (0.8, 1.0)
    curve = values.curve("a", "en-fr", RETRIEVAL, TOP)
    assert {step: s.mean for step, s in curve.items()} == {0: 0.02, 2: 0.1, 4: 0.6, 8: 0.9}
    (learning,) = curves.sections(values)
    assert [figure.data.name for figure in learning.figures] == ["learning_1"]
    (rises,) = learning.tables
    (line,) = rises.rows
    words = [cell.text for cell in line]
    assert words == ["sentence retrieval, P@1 %, en-fr", "a", "10.0", "4", "90.0", "90.0", "8"]


def test_correlations_within_models_are_over_layers_and_across_rows_apart() -> None:
    def run(row: str, seed: int, cka: list[float], p1: list[float]) -> RunRecords:
        alike = [
            Record("cka", v, "en", "fr", i, model="trained", step=9) for i, v in enumerate(cka)
        ]
        return RunRecords(row, seed, records=[*alike, *retrieval(p1)])

    runs = [
        run("a", 0, [0.1, 0.2, 0.3], [0.2, 0.4, 0.6]),  # r = 1
        run("a", 1, [0.1, 0.2, 0.3], [0.2, 0.6, 0.4]),  # r = 0.5
        run("b", 0, [0.1, 0.2, 0.3], [0.3, 0.2, 0.1]),  # r = -1
        run("c", 0, [0.5, 0.5, 0.5], [0.3, 0.2, 0.9]),  # not defined
    ]
    section = correlations.section(Values(StudyRecords("", [*map(Row, "abc")], runs)))
    assert section is not None
    within, across = section.tables
    assert [[cell.text for cell in row] for row in within.rows] == [
        ["a", "0.75 [−1.00 to 1.00]"],
        ["b", "−1.00"],
        ["c", "–"],
    ]
    # Top layer: CKA 0.3, 0.3, 0.5; P@1 0.5, 0.1, 0.9. Three rows: r without an interval.
    (line,) = across.rows
    assert [cell.text for cell in line][1:] == ["3", "0.87"]


def test_dots_are_each_row_with_its_own_untrained_model() -> None:
    section = masks.section(Values(STUDY))
    assert section is not None
    with style.applied():
        axis = section.figures[0].draw().axes[-1]
    assert axis.get_title("left") == "sentence retrieval"
    points = {
        (line.get_label(), tuple(line.get_xdata()))
        for line in axis.get_lines()
        if len(line.get_xdata()) == 1 and not str(line.get_label()).startswith("_")
    }
    assert points == {
        ("trained, top layer", (70.0,)),
        ("trained, best layer", (90.0,)),
        ("untrained, best layer", (2.0,)),
    }
    looks = {(line.get_marker(), line.get_color()) for line in axis.get_lines()[1:]}
    assert len({marker for marker, _ in looks} - {"|", "None"}) == 3


def test_the_scale_of_a_metric_that_nobody_listed() -> None:
    assert metrics.shown("new_score", [0.2, -0.1]).text(0.25) == "25.0"
    assert metrics.shown("new_distance", [0.2, 7.0]).text(7.0) == "7.00"
    assert metrics.order(["zz", "cka", "aa", "best_layer", "f1"]) == ["f1", "cka", "aa", "zz"]
    assert metrics.METRICS["word_translation_different"].unit == "P@1 %"


def test_a_table_keeps_its_form() -> None:
    with pytest.raises(ValueError, match="bad: 1 cells for 2 columns"):
        Table("bad", "", [Column("a"), Column("b")], [("", [[NONE]])])
    assert number(-0.04, 1) == "0.0" and number(0.05, 1, sign=True) == "+0.1"
    assert number(-1234.5, 1) == "−1,234.5" and number(None) == "–"


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_browser_shows_figures_and_numbers(written: Path, tmp_path: Path) -> None:
    """Reads the page after its script has run: sorting was added, figures have their size."""
    probe = """<script>addEventListener("load", () => {
      document.querySelector("#table-table1 tr.titles th:nth-child(4) button").click();
      const rows = [...document.querySelectorAll("#table-table1 tbody:last-child tr:not(.group)")];
      const svgs = [...document.querySelectorAll("figure svg")];
      document.title = JSON.stringify({
        sorted: rows.map((r) => r.cells[3].textContent),
        drawn: svgs.filter((s) => s.getBoundingClientRect().width > 200).length,
        svgs: svgs.length,
        words: svgs[0].querySelectorAll("text").length,
        wide: document.documentElement.scrollWidth <= innerWidth,
      });
    });</script>"""
    text = (written / "index.html").read_text(encoding="utf-8")
    page = tmp_path / "page.html"
    page.write_text(text.replace("</body>", f"{probe}</body>"), encoding="utf-8")
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=400,800"]
    command = [str(CHROMIUM), *flags, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    done = subprocess.run([*command, page.as_uri()], capture_output=True, timeout=120, check=True)
    title = re.search(r"<title>(\{.*?\})</title>", done.stdout.decode())
    assert title is not None
    found = json.loads(title[1])
    assert found["sorted"] == ["52.0 (2.8)", "–"]
    assert found["drawn"] == found["svgs"] >= 5 and found["words"] > 10
    assert found["wide"]  # nothing but tables and figures scrolls sideways, even on a phone
