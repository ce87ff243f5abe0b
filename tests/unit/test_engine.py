"""How Pulumi is called. A stand-in for the CLI records what it is asked; the real one is not on any package registry."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from airis import destroy, engine
from airis.errors import EnvironmentProblem
from airis.stacks import StackFile, read_stack
from airis.up import deploy_or_rehearse

pytestmark = pytest.mark.timeout(60)

Calls = Callable[[], list[str]]

KUBECONFIG = """
contexts: [{name: home, context: {cluster: home, user: me}}, {name: work, context: {cluster: work, user: me}}]
current-context: home
"""


@pytest.fixture
def calls(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """A `pulumi` on PATH, a kubeconfig and a home of their own; returns what was asked of it so far."""
    record = tmp_path / "calls"
    program = tmp_path / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\n[ "$1" = version ] && echo v3.999.0 && exit\n'
        f'echo "$* backend=$PULUMI_BACKEND_URL passphrase=$PULUMI_CONFIG_PASSPHRASE_FILE" >> {record}\n'
        f'[ "$1" != fail ] && exit ${{FAKE_EXIT:-0}}\n'
    )
    program.chmod(0o755)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    for name in ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(project)
    return lambda: record.read_text().splitlines() if record.exists() else []


def test_up_goes_to_the_cluster_by_pulumi_alone(calls: Calls, capfd: pytest.CaptureFixture[str]) -> None:
    assert deploy_or_rehearse("gpu", yes=True) == 0

    select, up = calls()
    assert select.startswith("stack select gpu --create --non-interactive ")
    assert up.startswith("up --stack gpu --yes ")
    assert "context home" in capfd.readouterr().err


def test_up_asks_unless_told_not_to(calls: Calls) -> None:
    deploy_or_rehearse("gpu", yes=False)
    assert "--yes" not in calls()[-1]


def test_a_bad_stack_never_reaches_pulumi(calls: Calls, project: Path) -> None:
    (project / "Pulumi.bad.yaml").write_text("config: {airis:ollama: {gpu: {count: 0}}}\n")
    with pytest.raises(Exception, match=r"airis:ollama\.gpu\.count"):
        deploy_or_rehearse("bad", yes=True)
    assert calls() == []


def test_the_state_is_beside_the_stacks_with_a_passphrase_that_only_its_owner_reads(
    calls: Calls, project: Path
) -> None:
    deploy_or_rehearse("cpu", yes=True)

    passphrase = project / ".state" / "passphrase"
    assert f"backend={(project / '.state').as_uri()} passphrase={passphrase}" in calls()[-1]
    assert stat.S_IMODE(passphrase.stat().st_mode) == 0o600
    first = passphrase.read_text()
    assert len(first) >= 32

    deploy_or_rehearse("cpu", yes=True)
    assert passphrase.read_text() == first


def test_a_backend_of_ones_own_is_left_alone(calls: Calls, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://team")
    deploy_or_rehearse("cpu", yes=True)
    assert calls()[-1].endswith("backend=s3://team passphrase=")
    assert not (project / ".state").exists()


def test_destroy_leaves_the_data_and_says_how_to_delete_it(calls: Calls, capfd: pytest.CaptureFixture[str]) -> None:
    assert destroy.destroy("gpu", yes=True) == 0

    assert calls()[-1].startswith("destroy --stack gpu --exclude-protected --yes ")
    said = capfd.readouterr().out
    for kept in ("PersistentVolumeClaim/airis-pvc", "PersistentVolumeClaim/ollama-volume-ollama-0", "Namespace/airis"):
        assert kept in said
    assert "StatefulSet" not in said
    assert "kubectl delete namespace airis" in said


def test_a_failed_destroy_promises_nothing(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], project: Path
) -> None:
    monkeypatch.setattr(engine, "_run", lambda *_: 255)
    assert destroy.destroy("gpu", yes=True) == 255
    assert "These remain" not in capfd.readouterr().out


def test_without_a_cluster_there_is_nothing_to_destroy(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG")
    with pytest.raises(EnvironmentProblem, match="no cluster is configured"):
        destroy.destroy("gpu", yes=True)
    assert calls() == []


def test_a_context_that_no_kubeconfig_has_is_refused(calls: Calls, project: Path) -> None:
    (project / "Pulumi.far.yaml").write_text("config: {kubernetes:context: moon}\n")
    with pytest.raises(Exception, match="the contexts are: home, work"):
        deploy_or_rehearse("far", yes=True)
    assert calls() == []


def test_without_pulumi_and_without_network_the_manual_steps_are_told(
    monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    def offline(*_: object, **__: object) -> object:
        raise OSError("Name or service not known")

    monkeypatch.setattr(engine, "PulumiCommand", offline)
    monkeypatch.setattr(offline, "install", offline, raising=False)
    stack: StackFile = read_stack("cpu", project)
    with pytest.raises(EnvironmentProblem, match="put `pulumi` on PATH"):
        engine.up(stack, yes=True)
