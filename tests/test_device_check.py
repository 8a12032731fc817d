"""tools/device_check.py in its smallest form, on a CPU."""

import json
from types import SimpleNamespace

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


@pytest.mark.parametrize(
    "check, base",
    [("paper_step", "paper as published, XLA attention"), ("small_step", "small, all_shared")],
)
def test_ratios_are_of_the_step_they_name_or_not_there(monkeypatch, check, base):
    from tools.device_checks import speed
    from tools.device_checks.programs import Machine

    def ratios(broken):
        def compiled_steps(configs):
            for name in configs:
                yield name, MemoryError("too large") if name == broken else name

        monkeypatch.setattr(speed, "compiled_steps", compiled_steps)
        cpu = SimpleNamespace(platform="cpu")
        found = list(getattr(speed, check)(Machine(cpu, False)))
        return {x["value"] for x in found if " over " in x["check"]}

    monkeypatch.setattr(speed, "matmul_peak", lambda machine: 1e12)
    monkeypatch.setattr(speed, "torch_steps", lambda *_: [])
    monkeypatch.setattr(speed, "_memory", lambda *_: {"check": "memory", "outcome": "skipped"})
    seconds = lambda machine, config, name: [2.0 if name == base else 3.0]  # noqa: E731
    monkeypatch.setattr(speed, "seconds_of", seconds)
    assert 1.5 in ratios("") and ratios(base) == set()


def test_an_unknown_check_is_named():
    with pytest.raises(InputError, match="unknown check 'partiy': did you mean 'parity'"):
        device_check.parse(["--only=partiy"])
    with pytest.raises(InputError, match="unrecognized arguments: --onyl=parity"):
        device_check.parse(["--onyl=parity"])
    assert device_check.parse(["--traceback"]).traceback
