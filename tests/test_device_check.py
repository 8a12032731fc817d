"""tools/device_check.py in its smallest form, on a CPU."""

import json

import pytest

from tools import device_check
from xl_jax.errors import InputError


@pytest.mark.slow
def test_the_smallest_form_passes(tmp_path, capsys):
    file = tmp_path / "device.json"
    names = "parity,attention,features,kernels"
    assert device_check.main(["--smallest", f"--only={names}", f"--json={file}"]) == 0
    found = json.loads(file.read_text())
    outcomes = {
        x["check"]: x["outcome"] for x in found["records"] if not x["check"].startswith("kernel: ")
    }
    assert outcomes == {
        "parity with the CPU: loss": "pass",
        "parity with the CPU: gradient": "pass",
        "parity with the CPU: one update": "pass",
        "cuDNN attention": "skipped",
        "features": "measured",
        "kernels: all": "measured",
    }
    longest, *others = (x["value"] for x in found["records"] if x["check"].startswith("kernel: "))
    assert longest > 0 and all(x <= longest for x in others)
    assert "pass     parity with the CPU: loss" in capsys.readouterr().out
    assert found["command"].startswith("python tools/device_check.py --smallest")


def test_what_breaks_is_told_and_the_next_check_goes_on(monkeypatch, capsys):
    def breaks(machine):
        yield {"check": "before", "outcome": "measured", "value": 1.0, "unit": "x"}
        raise RuntimeError("out of memory\nsecond line")

    monkeypatch.setattr("tools.device_checks.correctness.parity", breaks)
    assert device_check.main(["--smallest", "--only=parity,attention"]) == 1
    out = capsys.readouterr().out
    assert "measured before" in out and "RuntimeError: out of memory\n" in out
    assert "skipped  cuDNN attention" in out and "1 error, 1 measured, 1 skipped" in out


def test_a_value_that_is_not_finite_fails():
    from tools.device_checks.programs import result

    assert result("x", float("nan"), 1.0, "why")["outcome"] == "fail"
    assert result("x", 0.4, 0.5, "why", at_least=True)["outcome"] == "fail"
    assert result("x", 0.4, 0.5, "why")["outcome"] == "pass"


def test_an_unknown_check_is_named():
    with pytest.raises(InputError, match="unknown check 'partiy': did you mean 'parity'"):
        device_check.parse(["--only=partiy"])
