"""Draw the map of the house: the rooms of xl_jax/ and which imports which, read from the imports.

    python tools/architecture.py             writes docs/architecture.svg
    python tools/architecture.py --check     exit code 1 where that file is not up to date

Both print how many imports there are between modules and between rooms.

A room is a folder of xl_jax/, or a module beside the folders. Its text is the first line of its
docstring. An arrow that follows from others is left out, and so are the modules that all rooms use.
"""

import ast
import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tools import svg

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "architecture.svg"
FILES = ("atomic_files", "json_files", "file_names", "progress", "bucket", "mirror")
GROUND = ("stopping", "quiet", "errors", "rules", "rng", *FILES, "cli", "config_flags")
WIDTH, HEIGHT, GAP, FLOOR = 320, 44, 18, 78  # of a box, between boxes, between floors; pixels

Graph = dict[str, set[str]]


def sources(package: Path) -> dict[str, Path]:
    """Dotted name -> file of every module under `package`."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@functools.cache
def import_statements(path: Path) -> list[ast.Import | ast.ImportFrom]:
    """Those anywhere in a file, which is parsed once: every graph asks for them."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]


def imported(path: Path, known: Iterable[str]) -> set[str]:
    """Names of the modules that a file imports anywhere in it: those of `known` in full, of others
    the name as it is written."""
    names = set(known)
    found: set[str] = set()
    for node in import_statements(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif node.module and not node.level:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in names else node.module)
    return found


def module_graph(package: Path) -> Graph:
    """Module -> modules of the same package that it imports."""
    files = sources(package)
    return {name: imported(path, files) & files.keys() - {name} for name, path in files.items()}


def room(module: str) -> str:
    """`text` of `xl_jax.text.clean`; the package itself is a room with its own name."""
    package, _, rest = module.partition(".")
    return rest.partition(".")[0] or package


def room_graph(modules: Graph) -> Graph:
    """Room -> other rooms that it imports."""
    graph: Graph = {room(name): set() for name in modules}
    for name, targets in modules.items():
        graph[room(name)] |= {room(x) for x in targets} - {room(name)}
    return graph


def reachable(graph: Mapping[str, Iterable[str]], start: str) -> set[str]:
    """What can be reached from `start` by one arrow or more."""
    found: set[str] = set()
    todo = list(graph.get(start, ()))
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += graph.get(name, ())
    return found


def circles(graph: Mapping[str, Iterable[str]]) -> list[set[str]]:
    """The sets of names that import one another, directly or through others."""
    reach = {name: reachable(graph, name) for name in graph}
    found = [{b for b in reach[a] if a in reach[b]} for a in graph if a in reach[a]]
    return [circle for i, circle in enumerate(found) if circle not in found[:i]]


def reduced(graph: Graph) -> Graph:
    """The arrows that do not follow from others (of a graph without circles)."""
    return {
        name: {x for x in targets if not any(x in reachable(graph, y) for y in targets - {x})}
        for name, targets in graph.items()
    }


def floors(graph: Graph) -> list[list[str]]:
    """Rooms by the longest way to them from a room that none imports, the highest first; within a
    floor each room stands near those above that import it."""
    above = {name: [x for x in graph if name in graph[x]] for name in graph}
    depth: dict[str, int] = {}

    def of(name: str) -> int:
        if name not in depth:
            depth[name] = 1 + max(map(of, above[name]), default=-1)
        return depth[name]

    result: list[list[str]] = [[] for _ in range(1 + max(map(of, graph)))]
    place: dict[str, float] = {}

    def middle(name: str) -> float:
        places = [place[x] for x in above[name]]
        return sum(places) / len(places) if places else 0.0

    for level, here in enumerate(result):
        here += sorted(sorted(x for x in graph if depth[x] == level), key=middle)
        place |= {name: i - (len(here) - 1) / 2 for i, name in enumerate(here)}
    return result


def first_line(path: Path) -> str:
    """The first line of a module's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[0]


def draw(package: Path) -> str:
    """The picture as SVG."""
    files = sources(package)
    graph = room_graph(module_graph(package))
    graph.pop(package.name, None)
    rooms = {a: {b for b in bs if b not in GROUND} for a, bs in graph.items() if a not in GROUND}
    levels = floors(reduced(rooms))
    widest = max(map(len, levels))
    width = widest * (WIDTH + GAP) + GAP
    height = len(levels) * FLOOR + HEIGHT + 2 * GAP
    corner = {}
    for level, names in enumerate(levels):
        left = (width - len(names) * (WIDTH + GAP) + GAP) / 2
        for i, name in enumerate(names):
            corner[name] = (left + i * (WIDTH + GAP), GAP + FLOOR * level)

    def shapes() -> Iterator[str]:
        for name, below in sorted(reduced(rooms).items()):
            for target in sorted(below):
                (x1, y1), (x2, y2) = corner[name], corner[target]
                yield svg.arrow(x1 + WIDTH / 2, y1 + HEIGHT, x2 + WIDTH / 2, y2)
        for name, (x, y) in sorted(corner.items()):
            job = first_line(files[f"{package.name}.{name}"])
            yield from box(x, y, WIDTH, name + "/", job, "#e8f1f5")
        y = height - GAP - HEIGHT
        yield from box(GAP, y, width - 2 * GAP, ", ".join(GROUND), "used by every room", "#eee")

    return svg.document(width, height, shapes())


def box(x: float, y: float, width: float, title: str, job: str, fill: str) -> Iterator[str]:
    """A box with a title and a smaller line below it."""
    yield svg.box(x, y, width, HEIGHT, fill)
    yield svg.text(x + width / 2, y + 19, title, 13, bold=True)
    yield svg.text(x + width / 2, y + 35, job)


def counts(package: Path) -> str:
    """Numbers of modules and rooms, of the imports between them, and of circles, in a line."""
    modules = module_graph(package)
    parts = []
    for name, graph in (("modules", modules), ("rooms", room_graph(modules))):
        arrows = sum(map(len, graph.values()))
        parts.append(f"{len(graph)} {name}, {arrows} arrows, {len(circles(graph))} circles")
    return "; ".join(parts)


def main() -> None:
    def told_and_drawn() -> str:
        print(counts(ROOT / "xl_jax"))
        return draw(ROOT / "xl_jax")

    svg.main(__doc__ or "", "python tools/architecture.py", PICTURE, told_and_drawn)


if __name__ == "__main__":
    main()
