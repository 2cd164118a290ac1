"""README's installation, word for word, in a fresh virtual environment (slow, from the index)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def first_command():
    """`pip install ...` and `ganzoo run ...` of README's first shell block."""
    block = re.search(
        r"^```sh\n(.+?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE
    )
    install, _, run = block[1].strip().partition(" && ")
    return install, run


def test_the_first_command_installs_and_runs_the_quickstart():
    install, run = first_command()
    assert install.startswith("pip install ")
    assert re.fullmatch(r"ganzoo run recipes/\w+\.toml", run)


@pytest.mark.network
@pytest.mark.timeout(1500)
def test_the_first_command_in_a_fresh_environment(tmp_path):
    install, run = first_command()
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    environ = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    environ["PATH"] = f"{tmp_path / 'venv' / 'bin'}{os.pathsep}{environ['PATH']}"
    options = {"shell": True, "cwd": ROOT, "env": environ, "text": True, "capture_output": True}
    installed = subprocess.run(install, check=False, **options)
    assert installed.returncode == 0, installed.stdout[-2000:] + installed.stderr[-2000:]
    # The run itself takes minutes: .ci/run does it. Here: its recipe, by the installed command.
    checked = subprocess.run(f"{run} --dry-run", check=False, **options)
    assert checked.returncode == 0, checked.stderr[-2000:]
    assert "no problems" in checked.stderr
