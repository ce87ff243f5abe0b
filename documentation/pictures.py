"""Pictures of the command's output, for README.md and docs/: `python -m documentation.pictures` writes them into docs/img/.

They are made by the code that prints to a terminal, from fixed samples instead of live times and names, so they only
change when the output does. A test verifies that they are up to date. They are self-contained.
"""

import io
import os
import re
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout, suppress
from pathlib import Path
from unittest.mock import patch

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from airis.diff.terminal import print_diff
from airis.doctor.report import print_examination
from airis.rehearse.verdict import print_verdict
from airis.stack_file.project import project_root
from documentation import samples

FOLDER = Path("docs") / "img"

_WIDTH = 108
"""Columns of the terminal in the pictures."""

_HEIGHT = 60
"""Lines of the terminal. The output may be longer or shorter."""

_THEME = TerminalTheme(
    (27, 31, 41),
    (212, 217, 226),
    [
        (69, 76, 92),
        (240, 113, 120),
        (145, 200, 120),
        (229, 192, 107),
        (97, 175, 239),
        (198, 134, 221),
        (86, 190, 201),
        (212, 217, 226),
    ],
    [
        (99, 108, 128),
        (255, 139, 146),
        (170, 220, 145),
        (245, 212, 140),
        (130, 196, 250),
        (215, 160, 235),
        (120, 210, 220),
        (255, 255, 255),
    ],
)
"""Background, text, and the sixteen colors. A picture has its own background, for light and dark pages."""

_WEB_FONT = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
"""Rich's SVG would load its font from a server."""

_FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def _help() -> None:
    from airis.cli.main import app  # noqa: PLC0415  (it imports half of the rest)

    with suppress(SystemExit):
        app(["--help"], prog_name="airis")


def pictures(root: Path) -> dict[Path, str]:
    """The file of each picture, with its content."""
    prints: Mapping[str, tuple[str, Callable[[], None]]] = {
        "rehearse": ("airis rehearse --stack gpu", lambda: print_verdict(samples.verdict(root))),
        "rehearse-failing": (
            "airis rehearse --stack gpu",
            lambda: print_verdict(samples.verdict(root, lacking=samples.LACKING)),
        ),
        "diff": ("airis diff --stack gpu --base main", lambda: print_diff(samples.diff(root))),
        "doctor": ("airis doctor --stack gpu", lambda: print_examination(samples.examination(root))),
        "help": ("airis --help", _help),
    }
    return {root / FOLDER / f"{name}.svg": svg(name, title, printed(text)) for name, (title, text) in prints.items()}


class _Terminal(io.StringIO):
    """Records the output, and pretends to be a terminal."""

    def isatty(self) -> bool:
        """True, so that the output has colors."""
        return True


def printed(text: Callable[[], None]) -> str:
    """The output of the function on a terminal of the pictures' width, with escape codes."""
    environment = {
        "COLUMNS": str(_WIDTH),
        "LINES": str(_HEIGHT),
        "TERM": "xterm-256color",
        "PATH": os.environ.get("PATH", ""),
    }
    terminal = _Terminal()
    # NO_COLOR, the variables of CI servers and the size of the current terminal must have no effect
    with patch.dict(os.environ, environment, clear=True), redirect_stdout(terminal):
        text()
    return terminal.getvalue()


def svg(name: str, title: str, escaped: str) -> str:
    """The output as a self-contained SVG, without external fonts, styles or scripts. `name` makes its ids unique."""
    console = Console(
        record=True,
        file=io.StringIO(),
        width=_WIDTH,
        height=_HEIGHT,  # otherwise, Rich uses the size of the current terminal
        force_terminal=True,
        color_system="truecolor",
        no_color=False,
    )
    for line in Text.from_ansi(escaped.rstrip()).split():
        line.rstrip()
        console.print(line, overflow="fold")
    drawn = console.export_svg(title=title, theme=_THEME, unique_id=f"airis-{name}")
    local = (
        _WEB_FONT.sub("", drawn)
        .replace("Fira Code", "ui-monospace")
        .replace("font-family: ui-monospace, monospace", f"font-family: {_FONTS}")
    )
    return "".join(f"{line.rstrip()}\n" for line in local.splitlines())


if __name__ == "__main__":
    for file, content in pictures(project_root()).items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
