"""The script of the model Job's containers, with a program in place of `ollama`."""

import subprocess
from pathlib import Path

import pytest

from tests.unit.drawing import ROOT

pytestmark = pytest.mark.timeout(60)

SCRIPT = ROOT / "components" / "models.sh"
STUB = """\
#!/bin/sh
if [ "$1" = ps ]; then
  printf . >>"$ASKED"
  [ "$(wc -c <"$ASKED")" -gt "${REFUSED:-0}" ] || { echo "Error: could not connect to ollama server" >&2; exit 1; }
  exit 0
fi
printf '%s\\n' "$*" >>"$CALLS"
case "$1" in
  show) [ -e "$THERE/$2" ] || { echo "Error: model '$2' not found" >&2; exit 1; } ;;
  pull)
    echo "pulling manifest" >&2
    [ -z "$PULL_FAILS" ] || { echo "Error: $PULL_FAILS" >&2; exit 1; }
    : >"$THERE/$2"
    ;;
  rm) rm "$THERE/$2" 2>/dev/null || { echo "Error: ${RM_FAILS:-model '$2' not found}" >&2; exit 1; } ;;
  create) cat "$4" ;;
  run)
    for last; do :; done
    [ -z "$EMBEDS" ] || [ -n "$last" ] || { echo "Error: embedding models require input text. Usage: ..." >&2; exit 1; }
    [ -z "$EMBEDS" ] || echo "[0.1,0.2]"
    ;;
esac
"""


class Pod:
    """A pod of the Job, whose containers share a directory."""

    def __init__(self, folder: Path) -> None:
        self.home, self.there, self.calls_file = folder / "tmp", folder / "models", folder / "calls"
        for each in (self.home, self.there, folder / "bin"):
            each.mkdir()
        stub = folder / "bin" / "ollama"
        stub.write_text(STUB, encoding="utf-8")
        stub.chmod(0o755)
        self.env = {
            "PATH": f"{stub.parent}:/usr/bin:/bin",
            "HOME": str(self.home),
            "THERE": str(self.there),
            "CALLS": str(self.calls_file),
            "ASKED": str(folder / "asked"),
            "OLLAMA_HOST": "http://ollama-0.ollama",
            "PATIENCE_SECONDS": "60",
        }

    def run(self, *args: str, **env: str) -> "subprocess.CompletedProcess[str]":
        command = ["/bin/sh", str(SCRIPT), *args]
        return subprocess.run(
            command, env={**self.env, **env}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

    @property
    def calls(self) -> list[str]:
        return self.calls_file.read_text(encoding="utf-8").splitlines() if self.calls_file.exists() else []

    def failures(self) -> str:
        """The output of the last container, which fails if there is any."""
        done = self.run("result")
        assert done.returncode == (1 if done.stderr else 0)
        return done.stderr


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path)


def test_an_existing_model_needs_no_registry(pod: Pod) -> None:
    (pod.there / "llama3.2:1b").touch()
    done = pod.run("ensure", "llama3.2:1b")
    assert (done.returncode, done.stdout) == (0, "llama3.2:1b already exists\n")
    assert pod.calls == ["show llama3.2:1b"]
    assert pod.failures() == ""


def test_the_script_waits_for_the_server(pod: Pod) -> None:
    """A network plugin may allow the address of a new pod only after the pod has started."""
    done = pod.run("ensure", "llama3.2:1b", REFUSED="2")
    assert (done.returncode, done.stdout, done.stderr) == (0, "pulling manifest\n", "")
    assert pod.failures() == ""


def test_an_unreachable_server_is_the_only_failure(pod: Pod) -> None:
    first = pod.run("ensure", "a", REFUSED="100", PATIENCE_SECONDS="1")
    second = pod.run("ensure", "b", REFUSED="0")  # too late: another pod retries everything
    assert (first.returncode, second.returncode) == (0, 0)
    assert second.stdout == "skipping ensure b: Ollama is not reachable\n"
    assert pod.calls == []
    words = "airis: Ollama is not reachable at http://ollama-0.ollama after 1 s: could not connect to ollama server"
    assert pod.failures() == f"{words}\n"
    assert first.stderr == f"{words}\n"


@pytest.mark.parametrize("verb", ["ensure", "pull"])
def test_a_missing_model_is_pulled(pod: Pod, verb: str) -> None:
    done = pod.run(verb, "llama3.2:1b")
    assert (done.returncode, done.stdout) == (0, "pulling manifest\n")
    assert (pod.there / "llama3.2:1b").exists()
    assert pod.failures() == ""


def test_pull_always_pulls_an_existing_model(pod: Pod) -> None:
    (pod.there / "a").touch()
    pod.run("pull", "a")
    assert pod.calls == ["pull a"]


def test_failures_are_reported_by_name_and_do_not_affect_other_models(pod: Pod) -> None:
    first = pod.run("ensure", "llama9", PULL_FAILS="pull model manifest: file does not exist")
    second = pod.run("ensure", "llama3.2:1b")
    assert (first.returncode, second.returncode) == (0, 0)
    assert first.stdout == "pulling manifest\nError: pull model manifest: file does not exist\n"
    assert (pod.there / "llama3.2:1b").exists()
    pod.run("create", "mario", "/no/such/file")
    lines = pod.failures().splitlines()
    assert lines[0] == "airis: ensure llama9 failed: pull model manifest: file does not exist"
    assert lines[1:] == ["airis: create mario failed: no reason was given"]


def test_a_failed_pull_of_an_existing_model_is_a_failure(pod: Pod) -> None:
    (pod.there / "a").touch()
    pod.run("pull", "a", PULL_FAILS="dial tcp: lookup registry.ollama.ai: no such host")
    assert "airis: pull a failed: dial tcp" in pod.failures()


def test_absent_models_are_removed(pod: Pod) -> None:
    (pod.there / "old").touch()
    pod.run("remove", "old")
    assert not (pod.there / "old").exists()
    assert pod.failures() == ""


def test_removing_a_missing_model_succeeds(pod: Pod) -> None:
    pod.run("remove", "old")
    assert pod.failures() == ""


@pytest.mark.parametrize("said", ["could not connect to ollama server", "model 'other' not found"])
def test_a_server_error_while_removing_is_a_failure(pod: Pod, said: str) -> None:
    pod.run("remove", "old", RM_FAILS=said)
    assert f"airis: remove old failed: {said}" in pod.failures()


def test_a_model_is_created_from_its_file(pod: Pod, tmp_path: Path) -> None:
    (tmp_path / ".0").write_text("FROM gemma3:1b\n", encoding="utf-8")
    done = pod.run("create", "mario", str(tmp_path / ".0"))
    assert done.stdout == "FROM gemma3:1b\n"
    assert pod.calls == [f"create mario -f {tmp_path / '.0'}"]
    assert pod.failures() == ""


@pytest.mark.parametrize(
    ("further", "call"), [((), "run llama3.2 "), (("--keepalive=-1s",), "run --keepalive=-1s llama3.2 ")]
)
def test_a_model_is_loaded_with_an_empty_prompt(pod: Pod, further: tuple[str, ...], call: str) -> None:
    pod.run("load", "llama3.2", *further)
    assert pod.calls == [call]
    assert pod.failures() == ""


def test_an_embedding_model_is_loaded_with_text(pod: Pod) -> None:
    done = pod.run("load", "bge-m3", "--keepalive=1h", EMBEDS="yes")
    assert pod.calls == ["run --keepalive=1h bge-m3 ", "run --keepalive=1h bge-m3 loaded"]
    assert "0.1" not in done.stdout  # the log does not contain the embedding
    assert pod.failures() == ""
