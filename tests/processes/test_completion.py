"""Completion, tried in the shells themselves: installed as a user does it, then asked with Tab."""

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.unit.conftest import Command
from tests.unit.drawing import ROOT

pytestmark = pytest.mark.timeout(120)

ASKED = {
    "a command": ("airis rend\t", "airis render "),
    "an option": ("airis render --show-s\t", "airis render --show-secrets "),
    "a stack": ("airis up -s dep\t", "airis up -s dept-a "),
    "a stack by the long option": ("airis diff --stack dep\t", "airis diff --stack dept-a "),
    "a command of a group": ("airis sandbox stat\t", "airis sandbox status "),
    "a program that is not on PATH": ("bin/airis rend\t", "bin/airis render "),
}
PROMPT = "ready> "
CLEAR_LINE = b"\x15"


class Shell:
    """A shell of its own, with a home of its own, in a folder with two stacks."""

    def __init__(self, name: str, folder: Path) -> None:
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed here")
        self.name = name
        self.folder = folder
        self.environment = {
            "HOME": str(folder / "home"),
            "PATH": f"{folder / 'path'}:/usr/local/bin:/usr/bin:/bin",
            "TERM": "dumb",
            "LC_ALL": "C.UTF-8",
        }
        for each in ("home", "path", "bin"):
            (folder / each).mkdir()
        for each in ("Pulumi.yaml", "Pulumi.dept-a.yaml", "Pulumi.gpu.yaml"):
            (folder / each).write_text("config: {}\n")
        program = folder / "path" / "airis"
        program.write_text(
            f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom airis.cli.main import main\nmain()\n"
        )
        program.chmod(0o755)
        shutil.copy2(program, folder / "bin" / "airis")

    def run(self, script: str) -> str:
        """What a script prints in it."""
        return subprocess.run(
            [self.name, "-c", script],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout

    def typed(self, cases: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """Types into one interactive shell; yields what came on its screen, up to what was wanted, and that."""
        rc = {"bash": ".bashrc", "zsh": ".zshrc"}[self.name]
        with (self.folder / "home" / rc).open("a") as file:
            file.write(f"\nPS1='{PROMPT}'\n")
        process, terminal = pty.fork()
        if process == 0:
            os.chdir(self.folder)
            os.execvpe(self.name, [self.name, "-i"], self.environment)  # noqa: S606
        try:
            _read(terminal, PROMPT)
            for keys, wanted in cases:
                os.write(terminal, CLEAR_LINE + keys.encode())
                yield _read(terminal, wanted), wanted
        finally:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            os.close(terminal)


def _read(terminal: int, wanted: str) -> str:
    found, deadline = b"", time.monotonic() + 30
    while wanted not in found.decode(errors="replace").replace("\b", "") and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            found += os.read(terminal, 65536)
    return found.decode(errors="replace").replace("\b", "")


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_tab_completes_once_it_is_installed(tmp_path: Path, name: str) -> None:
    shell = Shell(name, tmp_path)
    assert "completion installed in" in shell.run("airis --install-completion; true")
    for screen, wanted in shell.typed(ASKED.values()):
        assert wanted in screen


def test_fish_completes_once_it_is_installed(tmp_path: Path) -> None:
    shell = Shell("fish", tmp_path)
    assert "completion installed in" in shell.run("airis --install-completion; true")
    for keys, wanted in [each for name, each in ASKED.items() if "PATH" not in name]:
        asked = keys.rstrip("\t")
        offered = shell.run(f"complete --do-complete '{asked}'").splitlines()
        assert [line.partition("\t")[0] for line in offered] == [wanted.split()[-1]]


def test_bash_takes_what_is_shown(tmp_path: Path) -> None:
    script = 'source <(airis --show-completion); COMP_WORDS=(airis up -s ""); COMP_CWORD=3; _airis_completion airis; '
    assert Shell("bash", tmp_path).run(f'{script} echo "${{COMPREPLY[@]}}"') == "dept-a gpu\n"


def test_outside_of_a_project_there_are_no_stacks(tmp_path: Path) -> None:
    shell = Shell("bash", tmp_path)
    (tmp_path / "Pulumi.yaml").unlink()
    script = 'source <(airis --show-completion); COMP_WORDS=(airis up -s ""); COMP_CWORD=3; _airis_completion airis; '
    assert shell.run(f'{script} echo "${{COMPREPLY[@]}}"') == "\n"


def test_the_version_is_one_line(command: Command) -> None:
    code, out, err = command("--version")
    assert (code, err) == (0, "")
    (line,) = out.splitlines()
    assert line.startswith("airis 0.")
    for each in ("Open WebUI ", "Ollama ", "Pulumi ", "Kubernetes provider ", "sandbox Kubernetes 1.", "Python 3."):
        assert each in line
