"""Equal lines over the parts of a corpus."""

from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xl_jax.text import duplicates

PARTS = st.lists(
    st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=3), max_size=5), min_size=1, max_size=4
)


def kept(folder: Path, parts: list[list[list[str]]]) -> tuple[list[list[list[str]]], int, int]:
    """The documents of all parts after marking, lines counted as repeated, and lines marked."""
    for i, documents in enumerate(parts):
        duplicates.write_hashes(folder, "x", i, documents)
    marked = sum(duplicates.mark(folder, "x", len(parts), i) for i in reversed(range(len(parts))))
    counts: Counter[str] = Counter()
    result = []
    for i, documents in enumerate(parts):
        drop = duplicates.Dropped(folder, "x", i)
        result.append([drop(document, counts) for document in documents])
    return result, counts["duplicates"], marked


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None
)
@given(parts=PARTS)
def test_only_the_first_of_equal_lines_is_kept(tmp_path: Path, parts: list) -> None:
    for path in tmp_path.iterdir():
        path.unlink()
    seen: set[str] = set()
    expected = [
        [[x for x in document if not (x in seen or seen.add(x))] for document in documents]
        for documents in parts
    ]
    found, counted, marked = kept(tmp_path, parts)
    assert found == expected
    lines = sum(len(document) for documents in parts for document in documents)
    assert counted == marked == lines - len(seen)


def test_languages_do_not_meet(tmp_path: Path) -> None:
    for language in "xy":
        duplicates.write_hashes(tmp_path, language, 0, [["same"]])
        assert duplicates.mark(tmp_path, language, 1, 0) == 0
    assert duplicates.Dropped(tmp_path, "y", 0)(["same"], Counter()) == ["same"]
