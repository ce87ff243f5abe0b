"""Kubeconfigs: the cluster they select, and the errors of unusable ones."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from airis.cluster.connection import configured_cluster
from airis.stack_file.stacks import StackFile
from airis.terminal.errors import AirisError, EnvironmentProblem
from tests.unit.conftest import Command

pytestmark = [pytest.mark.timeout(30), pytest.mark.usefixtures("no_cluster")]

GOOD = """
contexts: [{name: home, context: {cluster: a}}, {name: work, context: {cluster: b}}]
clusters: [{name: a, cluster: {server: "https://a.example.com"}}, {name: b, cluster: {server: "https://b.example.com"}}]
users: [{name: me, user: {token: s3cret}}]
current-context: home
"""
BAD = {
    "": "has no contexts",
    "contexts: null\ncurrent-context: ''": "has no contexts",
    "current-context: home": "has no contexts",
    "- a\n- b": "contains a list",
    "just words": "contains a text",
    "5": "contains a number",
    "contexts: {name: home}": "has a mapping as its contexts",
    "contexts: [home]": "an entry without a name: contexts[0]",
    "contexts: [{name: home}, {context: {cluster: a}}]": "an entry without a name: contexts[1]",
    "contexts: [{name: 5}]": "an entry without a name: contexts[0]",
    "contexts: [{name: home, context: [a]}]": "has a list as the context of 'home'",
    "contexts: [{name: home}]\nclusters: [{cluster: {}}]": "an entry without a name: clusters[0]",
    "contexts: [{name: home}]\ncurrent-context: 5": "has a number as its current-context",
    "contexts: [{name: home}]\ncurrent-context: work": "current-context is 'work', but there is no such context",
    "contexts: [{name: home}]": "has no current-context",
    "users: [{user: {token: s3cret}": "is not YAML",
    "[" * 1000: "is not YAML",
    "a: 2024-13-45": "has no contexts",
    "contexts: [{name: on}]": "an entry without a name: contexts[0]",
    "\0": "is not YAML",
}

KubeconfigFile = Callable[[str], Path]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KubeconfigFile:
    """Writes a kubeconfig, and sets $KUBECONFIG to it."""

    def write(text: str) -> Path:
        path = tmp_path / "config"
        path.write_text(text)
        monkeypatch.setenv("KUBECONFIG", str(path))
        return path

    return write


def stack(folder: Path, **config: str) -> StackFile:
    keyed = {f"kubernetes:{key}": value for key, value in config.items()}
    return StackFile("test", folder / "Pulumi.test.yaml", keyed, frozenset())


def server(folder: Path, **config: str) -> str | None:
    address = configured_cluster(stack(folder, **config))
    assert address is not None
    return address.server


def test_the_current_context_counts_or_that_of_the_stack(file: KubeconfigFile, tmp_path: Path) -> None:
    file(GOOD)
    assert server(tmp_path) == "https://a.example.com"
    assert server(tmp_path, context="work") == "https://b.example.com"


def test_of_several_files_the_first_value_counts_and_some_may_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one").write_text("contexts: [{name: work, context: {cluster: a}}]")
    (tmp_path / "two").write_text(GOOD.replace("current-context: home", "current-context: work"))
    names = [str(tmp_path / each) for each in ("missing", "one", "two")]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(names))
    assert server(tmp_path) == "https://a.example.com"  # the context of the first file, the server of the second


def test_of_two_entries_with_one_name_the_first_counts(file: KubeconfigFile, tmp_path: Path) -> None:
    file(
        "contexts: [{name: home, context: {cluster: a}}, {name: home, context: {cluster: b}}]\ncurrent-context: home\n"
        "clusters: [{name: a, cluster: {server: 'https://1.example.com'}}, {name: a, cluster: {server: x}}]"
    )
    assert server(tmp_path) == "https://1.example.com"


@pytest.mark.parametrize("text", ["contexts: [{name: home}]\ncurrent-context: home", GOOD.replace("server", "other")])
def test_a_server_may_be_unknown(file: KubeconfigFile, tmp_path: Path, text: str) -> None:
    file(text)
    assert server(tmp_path) is None


@pytest.mark.parametrize(("text", "said"), BAD.items(), ids=range(len(BAD)))
def test_an_unusable_kubeconfig_from_the_environment(
    file: KubeconfigFile, tmp_path: Path, text: str, said: str
) -> None:
    path = file(text)
    with pytest.raises(EnvironmentProblem) as refused:
        configured_cluster(stack(tmp_path))
    assert f"{path}: " in refused.value.message
    assert said in refused.value.message
    assert refused.value.remedy
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(("text", "said"), BAD.items(), ids=range(len(BAD)))
@pytest.mark.parametrize("inline", [False, True], ids=["path", "text"])
def test_an_unusable_kubeconfig_in_the_stack_file(tmp_path: Path, text: str, said: str, *, inline: bool) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(AirisError) as refused:
        configured_cluster(stack(tmp_path, kubeconfig=f"{text}\n" if inline else "mine.yaml"))
    assert "Pulumi.test.yaml: kubernetes:kubeconfig" in refused.value.message
    assert said in refused.value.message
    assert refused.value.exit_code == (1 if inline else 4)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "bytes", "below a file"])
def test_a_path_that_is_not_a_text_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    path = tmp_path / "config"
    said = "not a regular file"
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "bytes":
            path.write_bytes(b"\xff\xfe")
            said = "not text"
        case "below a file":
            path.write_text(GOOD)
            path, said = path / "config", "no such file"
        case _:
            said = "no such file"
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(EnvironmentProblem, match=f"{path}: .*{said}"):
        configured_cluster(stack(tmp_path))
    monkeypatch.delenv("KUBECONFIG")
    with pytest.raises(EnvironmentProblem, match=f"kubernetes:kubeconfig names an unusable file: .*{path}: .*{said}"):
        configured_cluster(stack(tmp_path, kubeconfig=str(path)))


def test_an_empty_list_of_files_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", os.pathsep)
    with pytest.raises(EnvironmentProblem, match="does not name a file"):
        configured_cluster(stack(tmp_path))


@pytest.mark.parametrize("text", [None, "", "contexts: null\nclusters: null\ncurrent-context: ''\n"])
def test_a_default_kubeconfig_without_contexts_means_no_cluster(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "nobody" / ".kube").mkdir(parents=True)
        (tmp_path / "nobody" / ".kube" / "config").write_text(text)
    assert configured_cluster(stack(tmp_path)) is None
    with pytest.raises(AirisError, match="kubernetes:context is 'home', but no kubeconfig has that context"):
        configured_cluster(stack(tmp_path, context="home"))


@pytest.mark.parametrize(("text", "said"), BAD.items(), ids=range(len(BAD)))
def test_a_broken_default_kubeconfig_is_reported(tmp_path: Path, text: str, said: str) -> None:
    if said == "has no contexts" and "home" not in text:
        return  # a default kubeconfig without contexts
    (tmp_path / "nobody" / ".kube").mkdir(parents=True)
    (tmp_path / "nobody" / ".kube" / "config").write_text(text)
    with pytest.raises(EnvironmentProblem, match=r"\.kube/config: "):
        configured_cluster(stack(tmp_path))


def test_a_kubeconfig_as_json_in_one_line(tmp_path: Path) -> None:
    text = '{"contexts": [{"name": "home", "context": {"cluster": "a"}}], "current-context": "home", '
    text += '"clusters": [{"name": "a", "cluster": {"server": "https://a.example.com"}}]}'
    assert server(tmp_path, kubeconfig=text) == "https://a.example.com"


@pytest.mark.parametrize(
    "args",
    [
        ("up", "--yes"),
        ("up", "--yes", "--rehearse-without-cluster"),
        ("preview",),
        ("refresh", "--yes"),
        ("destroy", "--yes"),
        ("doctor",),
        ("backup",),
        ("open",),
        ("diff", "--against", "cluster"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("text", ["", "- a", "contexts: [{name: home}]\ncurrent-context: work"])
def test_every_command_exits_with_4_and_names_the_file(
    file: KubeconfigFile, command: Command, text: str, args: tuple[str, ...]
) -> None:
    path = file(text)
    code, out, err = command(*args, "--stack", "cpu")
    assert code == 4
    assert str(path) in "".join((out + err).split())  # a table may break the line
    assert "Traceback" not in err
