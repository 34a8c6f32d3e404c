"""A few real kills of ``train`` and ``predict --output``; scripts/kill_runs.py does a hundred of each."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "kill_runs.py"


@pytest.mark.slow
def test_a_killed_run_loses_nothing_and_strands_nothing():
    done = subprocess.run([sys.executable, SCRIPT, "--kills", "1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(each["command"], each["kills"], each["faults"]) for each in found] == [("train", 1, 0), ("predict", 1, 0)]
