"""The state backend: the user's choice, or a folder next to the stack files."""

import json
import stat
from pathlib import Path

import pytest

from airis.deploy import state_backend
from tests.unit.deploying import own_home

__all__ = ["own_home"]  # fixtures

pytestmark = pytest.mark.timeout(60)


def test_the_state_is_next_to_the_stack_files_with_a_private_passphrase(own_home: Path, tmp_path: Path) -> None:
    chosen = state_backend.backend(tmp_path)

    passphrase = tmp_path / ".state" / "passphrase"
    state = (tmp_path / ".state").as_uri()
    assert chosen == {"PULUMI_BACKEND_URL": state, "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase)}
    assert stat.S_IMODE(passphrase.stat().st_mode) == 0o600
    assert stat.S_IMODE(passphrase.parent.stat().st_mode) == 0o700
    first = passphrase.read_text()
    assert len(first) >= 32

    state_backend.backend(tmp_path)
    assert passphrase.read_text() == first


@pytest.mark.parametrize("name", ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"])
def test_an_explicit_passphrase_is_used(
    own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "mine")
    assert set(state_backend.backend(tmp_path)) == {"PULUMI_BACKEND_URL"}
    assert not (tmp_path / ".state" / "passphrase").exists()


def test_an_explicit_backend_is_used(own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://team")
    assert state_backend.backend(tmp_path) == {}
    assert not (tmp_path / ".state").exists()


@pytest.mark.parametrize(
    ("credentials", "logged_in"),
    [({"current": "https://api.pulumi.com"}, True), ({"current": ""}, False), ({}, False), ([], False)],
)
def test_a_login_selects_the_backend_until_the_logout(
    own_home: Path, tmp_path: Path, credentials: object, logged_in: bool
) -> None:
    (own_home / "credentials.json").write_text(json.dumps(credentials))
    assert (state_backend.backend(tmp_path) == {}) == logged_in
