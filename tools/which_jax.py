#!/usr/bin/env python3
"""Says what accelerator this machine has, and which JAX fits it. Needs no installed package.

    python tools/which_jax.py
    pip install -r requirements.txt "$(python tools/which_jax.py --requirement)"

CUDA 13 needs a GPU of compute capability 7.5 and driver 580; the packages of CUDA 12 serve older
ones, down to 5.2 and driver 525. A TPU is found by its PCI number. The version of JAX is the one of
requirements.txt.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

REQUIREMENTS = Path(__file__).parents[1] / "requirements.txt"
PCI = Path("/sys/bus/pci/devices")
GOOGLE = "0x1ae0"
TPUS = {
    "0x0027": "TPU v3",
    "0x005e": "TPU v4",
    "0x0062": "TPU v5p",
    "0x0063": "TPU v5e",
    "0x006f": "TPU v6e",
    "0x0076": "TPU 7x",
}


class Gpu(NamedTuple):
    name: str
    capability: float
    driver: int  # its first number


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--requirement", action="store_true", help="print nothing but what to install"
    )
    only = parser.parse_args().requirement
    gpus, tpus = find_gpus(), find_tpus(PCI)
    try:
        extra = extra_for(gpus, tpus)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    if not only:
        names = [f"{x.name} (compute capability {x.capability}, driver {x.driver})" for x in gpus]
        print(f"device: {', '.join(names + tpus) or 'no accelerator, a CPU'}")
    print(("" if only else "JAX: ") + requirement(REQUIREMENTS.read_text(), extra))


def find_gpus() -> list[Gpu]:
    """NVIDIA's, as its driver names them."""
    query = ["nvidia-smi", "--query-gpu=name,compute_cap,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return parse_gpus(answer.stdout) if answer.returncode == 0 else []


def parse_gpus(answer: str) -> list[Gpu]:
    """GPUs of nvidia-smi's lines `name, capability, driver`."""
    found = re.findall(r"^(.+), (\d+\.\d+), (\d+)[.\d]*$", answer, re.MULTILINE)
    return [Gpu(name, float(capability), int(driver)) for name, capability, driver in found]


def find_tpus(folder: Path) -> list[str]:
    """Google's chips among the PCI devices of `folder`."""
    vendors = [x for x in sorted(folder.glob("*/vendor")) if x.read_text().strip() == GOOGLE]
    numbers: Iterable[str] = (x.with_name("device").read_text().strip() for x in vendors)
    return [TPUS[x] for x in numbers if x in TPUS]


def extra_for(gpus: list[Gpu], tpus: list[str]) -> str:
    """The extra of jax that serves all devices; "" = a CPU.

    Raises:
      ValueError: a GPU or driver that is too old for each.
    """
    if tpus:
        return "tpu"
    if not gpus:
        return ""
    oldest, driver = min(gpus, key=lambda x: x.capability), min(x.driver for x in gpus)
    if oldest.capability < 5.2:
        raise ValueError(f"{oldest.name} is too old: compute capability {oldest.capability} < 5.2")
    if driver < 525:
        raise ValueError(f"the driver of {oldest.name} is too old: {driver} < 525")
    return "cuda13" if oldest.capability >= 7.5 and driver >= 580 else "cuda12"


def requirement(text: str, extra: str) -> str:
    """`jax[EXTRA]==VERSION`, with the version of requirements.txt."""
    version = re.search(r"^jax==(\S+)", text, re.MULTILINE)
    assert version
    return f"jax[{extra}]=={version[1]}" if extra else f"jax=={version[1]}"


if __name__ == "__main__":
    main()
