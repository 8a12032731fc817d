"""The run directory that tests/stored/ holds."""

import tarfile
from pathlib import Path

ARCHIVE = Path(__file__).parent / "stored" / "run.tar.xz"


def unpack(folder: Path) -> Path:
    """A copy of it, folder/run."""
    with tarfile.open(ARCHIVE) as archive:
        if hasattr(tarfile, "data_filter"):  # Python 3.11.4 and newer
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(folder)
    return folder / "run"
