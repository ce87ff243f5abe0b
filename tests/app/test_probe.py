"""The script of `airis doctor --probe`, run by Open WebUI's Python with its client libraries, against real servers."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from airis.doctor import probe_script
from airis.doctor.targets import secret, targets
from tests.app.environment import Environment
from tests.app.rendered import key, rendered
from tests.app.test_real_servers import PASSWORD, valkey
from tests.app.test_sign_in import directory
from tests.unit.doctors import wanted

pytestmark = pytest.mark.timeout(600)  # the first one may have to install the application


def reached(installed: Environment, held: Mapping[str, str], **settings: Any) -> tuple[dict[str, Any], str]:
    """The script's result for the stack's only target, and its whole output; `held` contains the values of Secrets."""
    (pod,) = [each.pod for each in wanted(**settings).workloads if each.labels["app"] == "airis"]
    listed = pod["containers"][0]["env"]
    asked = [each for each in targets(listed) if each["key"] != "airis:ollama"]
    done = subprocess.run(
        [
            *(str(installed.python), "-I", "-B", "-c", Path(probe_script.__file__).read_text(encoding="utf-8")),
            json.dumps({"targets": asked, "hidden": secret(listed)}),
        ],
        env=dict(rendered(**settings).environment(held)),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    (found,) = json.loads(done.stdout)
    return found, done.stdout + done.stderr


def test_redis_accepts_only_its_password(installed: Environment, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"webui": {"redis": {"urlFrom": key("redis")}}}
    with valkey(tmp_path) as port:
        for password, step in ((quote(PASSWORD, safe=""), ""), ("wrong-one", "sign-in"), ("", "PING")):
            url = f"redis://:{password}@127.0.0.1:{port}/0"
            found, text = reached(installed, {"redis": url}, **settings)
            assert found["failed"] == step, text
            assert PASSWORD not in text
            assert "wrong-one" not in text
            assert found["passed"][:2] == ["name", "connection"]
    assert found["why"].startswith("NOAUTH")


def test_ldap_bind(installed: Environment, tmp_path: Path) -> None:
    with directory(tmp_path) as ldap:
        found, text = reached(installed, {"ldap": PASSWORD}, webui={"auth": {"ldap": ldap}})
        assert not found["failed"], text
        assert (found["passed"], found["note"]) == (["name", "connection", "sign-in"], "")
        found, text = reached(installed, {"ldap": "wrong-one"}, webui={"auth": {"ldap": ldap}})
        assert (found["failed"], found["why"]) == ("sign-in", "invalidCredentials")
        assert "wrong-one" not in text
        encrypted = {**ldap, "tls": True}
        found, _ = reached(installed, {"ldap": PASSWORD}, webui={"auth": {"ldap": encrypted}})
        assert found["failed"] == "TLS"
