"""Another revision of the project, from git, in a temporary worktree."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from airis.terminal.errors import AirisError, EnvironmentProblem

_GIT_SECONDS = 120.0
_INSTEAD = "or compare with a rendered file: `--against FILE`"
_QUIET = (
    "-c",
    f"core.hooksPath={os.devnull}",  # run no hooks
    "-c",
    "core.fsmonitor=false",
    "-c",
    "advice.detachedHead=false",
)


@dataclass(frozen=True)
class Revision:
    """A commit of the repository that the project is in."""

    ref: str
    """As given by the user."""
    commit: str
    """The full hash."""
    root: Path
    """The project's folder in the working tree."""
    prefix: str
    """The project's path in the repository; empty at its top."""

    def __str__(self) -> str:
        short = self.commit[:8]
        return short if self.commit.startswith(self.ref) else f"{self.ref} ({short})"


def resolved(ref: str, root: Path) -> Revision:
    """The commit that `ref` names in the project's repository.

    Raises EnvironmentProblem without git, and AirisError if there is no repository or no such commit.
    """
    try:
        prefix = _git(root, "rev-parse", "--show-prefix").strip()
    except AirisError as error:
        if "not a git repository" in error.message:
            raise AirisError(f"{root} is not in a git repository, so there is no other revision", _INSTEAD) from None
        raise
    with contextlib.suppress(AirisError):
        found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        return Revision(ref, found.strip(), root, prefix)
    raise AirisError(f"--base {ref}: there is no such revision in this repository", _remedy(ref, root))


def _remedy(ref: str, root: Path) -> str:
    if _git(root, "rev-parse", "--is-shallow-repository").strip() == "true":
        return "this clone is shallow: `git fetch --unshallow` fetches the history (with actions/checkout, `fetch-depth: 0`)"
    remotes = _git(root, "remote").split()
    for remote in remotes:
        with contextlib.suppress(AirisError):
            _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"refs/remotes/{remote}/{ref}")
            return f"a remote has a branch with that name: --base {remote}/{ref}"
    fetch = f"`git fetch {remotes[0]}` fetches new revisions; " if remotes else ""
    return f"{fetch}`git branch --all` and `git log --oneline` list the revisions"


@contextmanager
def checked_out(revision: Revision) -> Iterator[Path]:
    """The project's folder at that revision. Changes neither the user's index nor the working tree, and runs no hooks."""
    folder = Path(tempfile.mkdtemp(prefix="airis-diff-")).resolve()
    tree = folder / folder.name  # git's record of the worktree has that name
    try:
        _git(revision.root, *_QUIET, "worktree", "add", "--quiet", "--detach", "--force", str(tree), revision.commit)
        yield tree / revision.prefix
    finally:
        # Only this worktree, complete or not; `prune` would also remove the records of others
        try:
            _git(revision.root, *_QUIET, "worktree", "remove", "--force", "--force", str(tree))
        except AirisError:
            common = revision.root / _git(revision.root, "rev-parse", "--git-common-dir").strip()
            shutil.rmtree(common / "worktrees" / tree.name, ignore_errors=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def changed_files(revision: Revision) -> list[str]:
    """The files of the project that differ from that revision, including untracked ones."""
    known = _git(
        revision.root, *_QUIET, "diff", "--name-only", "--relative", "--no-ext-diff", revision.commit, "--", "."
    )
    new = _git(revision.root, *_QUIET, "ls-files", "--others", "--exclude-standard", "--", ".")
    return sorted({*known.splitlines(), *new.splitlines()})


def environment() -> dict[str, str]:
    """The user's environment, without variables that select another repository or index (as in a hook), and without prompts."""
    kept = {key: value for key, value in os.environ.items() if key not in _LEADING}
    return {**kept, "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_LFS_SKIP_SMUDGE": "1", "LC_ALL": "C"}


_LEADING = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")


def _git(root: Path, *args: str) -> str:
    try:
        result = subprocess.run(
            ["git", "-C", str(root), *args],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
            env=environment(),
            start_new_session=True,  # Ctrl-C is for airis, which then removes the worktree
        )
    except FileNotFoundError:
        raise EnvironmentProblem(
            "git is missing, but it is needed to read the other revision", f"install git; {_INSTEAD}"
        ) from None
    except subprocess.TimeoutExpired:
        raise EnvironmentProblem(f"git did not answer within {_GIT_SECONDS:.0f} s") from None
    if result.returncode:
        words = result.stderr.strip().removeprefix("fatal: ") or f"exit code {result.returncode}"
        verb = next(each for each in args if not each.startswith("-") and "=" not in each)
        raise AirisError(f"git {verb}: {words}")
    return result.stdout
