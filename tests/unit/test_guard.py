"""A stack is deployed only to the cluster that it is pinned to."""

from pathlib import Path

import pytest

from airis.backup import backup_stack, restore_stack
from airis.deploy import guard
from airis.deploy import up as commands
from airis.rehearse.deploy_or_rehearse import deploy_or_rehearse
from airis.stack_file.stacks import read_stack
from airis.terminal.errors import AirisError, EnvironmentProblem
from tests.unit.deploying import EVERY_COMMAND, UID, Script, asked, script, write

__all__ = ["asked", "script"]  # fixtures

pytestmark = pytest.mark.timeout(60)


OTHER = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("config", "key", "pinned", "found"),
    [
        (f"{{airis:cluster: {{uid: {OTHER}}}}}", "uid", OTHER, UID),
        ("{airis:cluster: {server: 'https://work.example.com'}}", "server", "https://work", "https://home"),
    ],
)
def test_every_command_refuses_another_cluster_than_the_pinned_one(
    asked: list[str], project: Path, *, config: str, key: str, pinned: str, found: str
) -> None:
    write(project, config)
    for command in EVERY_COMMAND:
        with pytest.raises(AirisError) as refused:
            command()
        assert f"airis:cluster.{key} is {pinned}" in str(refused.value)
        assert found in str(refused.value)
        assert refused.value.exit_code == 1
    assert asked == []


@pytest.mark.parametrize(
    "config",
    [
        f"{{airis:cluster: {{uid: {UID}}}}}",
        "{airis:cluster: {server: 'https://HOME.example.com:6443/'}}",
        "{airis:cluster: {server: 'https://work.example.com:443'}, kubernetes:context: work}",
        "{airis:cluster: {context: work}, kubernetes:context: work}",
    ],
)
def test_the_pinned_cluster_is_accepted(asked: list[str], project: Path, config: str) -> None:
    write(project, config)
    assert deploy_or_rehearse("test", yes=True) == 0


def test_a_stack_with_a_uid_is_refused_if_the_cluster_uid_is_unreadable(
    asked: list[str], project: Path, script: Script
) -> None:
    script("kubectl", 'echo "Error from server (Forbidden): namespaces is forbidden" >&2; exit 1')
    assert deploy_or_rehearse("gpu", yes=True) == 0  # the UID is not needed
    asked.clear()
    write(project, f"{{airis:cluster: {{uid: {UID}}}}}")
    with pytest.raises(EnvironmentProblem, match="is forbidden"):
        deploy_or_rehearse("test", yes=True)
    assert asked == []


def test_an_unreachable_cluster_is_an_error(asked: list[str], script: Script) -> None:
    script("kubectl", 'echo "dial tcp 10.0.0.1:6443: connect: connection refused" >&2; exit 1')
    with pytest.raises(EnvironmentProblem, match="connection refused"):
        commands.preview("gpu")
    assert asked == []


def test_backup_and_restore_refuse_another_cluster_than_the_pinned_one(
    asked: list[str], project: Path, tmp_path: Path
) -> None:
    write(project, f"{{airis:cluster: {{uid: {OTHER}}}}}")
    for command in (lambda: backup_stack("test", tmp_path / "x.tar.gz"), lambda: restore_stack("test", tmp_path / "x")):
        with pytest.raises(AirisError, match=f"airis:cluster.uid is {OTHER}, and the configured cluster has {UID}"):
            command()


def test_the_server_of_a_kubeconfig_in_the_stack_file_is_known(asked: list[str], project: Path, tmp_path: Path) -> None:
    write(
        project,
        f"{{kubernetes:kubeconfig: {tmp_path / 'kubeconfig'}, airis:cluster: {{server: 'https://x.example.com'}}}}",
    )
    with pytest.raises(AirisError, match=r"https://home\.example\.com:6443"):
        guard.target_of(read_stack("test", project))
