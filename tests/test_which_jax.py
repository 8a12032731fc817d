"""Which JAX fits a machine."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.which_jax import Gpu, extra_for, find_tpus, parse_gpus, requirement


@pytest.mark.parametrize(
    ("answer", "extra"),
    [
        ("Tesla T4, 7.5, 580.82.07\n", "cuda13"),
        ("Tesla T4, 7.5, 550.54\n", "cuda12"),
        ("Tesla V100-SXM2-16GB, 7.0, 580.82\n", "cuda12"),
        ("NVIDIA H100 80GB HBM3, 9.0, 580.82\nTesla P100-PCIE-16GB, 6.0, 580.82\n", "cuda12"),
        ("", ""),
    ],
)
def test_the_extra_of_gpus(answer: str, extra: str) -> None:
    assert extra_for(parse_gpus(answer), []) == extra


def test_what_is_too_old_is_named() -> None:
    with pytest.raises(ValueError, match="Tesla K80 is too old: compute capability 3.7 < 5.2"):
        extra_for([Gpu("Tesla K80", 3.7, 580)], [])
    with pytest.raises(ValueError, match="the driver of Tesla T4 is too old: 470 < 525"):
        extra_for([Gpu("Tesla T4", 7.5, 470)], [])


def test_a_tpu_is_found_by_its_number(tmp_path: Path) -> None:
    for name, vendor, device in [
        ("a", "0x1ae0", "0x0063"),
        ("b", "0x1ae0", "0x0042"),  # Google's network card
        ("c", "0x10de", "0x0063"),
    ]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "vendor").write_text(vendor + "\n")
        (tmp_path / name / "device").write_text(device + "\n")
    assert find_tpus(tmp_path) == ["TPU v5e"]
    assert extra_for([], ["TPU v5e"]) == "tpu"


def test_the_version_is_that_of_the_requirements() -> None:
    assert requirement("numpy==1\njax==0.10.2   # x\n", "tpu") == "jax[tpu]==0.10.2"
    done = subprocess.run(
        [sys.executable, "-S", "tools/which_jax.py"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("device: ") and "\nJAX: jax" in done.stdout
