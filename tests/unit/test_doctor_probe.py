"""`airis doctor --probe`: the targets, the pods, and the reported steps."""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from airis.cluster.connection import Cluster
from airis.cluster.kubectl import KubectlError
from airis.doctor import probe_script
from airis.doctor.checks import CHECKS, State
from airis.doctor.probe import GUARDED, probe
from airis.doctor.probe_results import Probed, Reached, Role
from airis.doctor.targets import TABLE, Row, targets
from settings.stack import StackSettings
from settings.types.base import models_in
from settings.types.variables import declared
from settings.webui.webui import WebUISettings
from tests.cluster.node.certificates import certificate
from tests.unit.conftest import Command
from tests.unit.doctors import Found, observed, outcomes, serving, wanted

pytestmark = pytest.mark.timeout(60)

SECRET = "p@ss:w/rd%41?#"

# --- the table of targets


def test_every_variable_with_an_address_is_a_target() -> None:
    """Except variables that are not addresses of servers for the WebUI's pods."""
    no_server = {
        "AIRIS_FORMER_OLLAMA_URLS",
        "CORS_ALLOW_ORIGIN",
        "GOOGLE_REDIRECT_URI",
        "GITHUB_CLIENT_REDIRECT_URI",
        "MICROSOFT_REDIRECT_URI",
        "OPENID_REDIRECT_URI",
        "OPENID_END_SESSION_ENDPOINT",  # for browsers
        "S3_USE_ACCELERATE_ENDPOINT",
        "OAUTH_TOKEN_ENDPOINT_AUTH_METHOD",
        "WEBUI_URL",
        # the same servers as in other variables
        "OTEL_LOGS_EXPORTER_OTLP_ENDPOINT",
        "OTEL_METRICS_EXPORTER_OTLP_ENDPOINT",
        "WEBSOCKET_REDIS_URL",
        "WEBSOCKET_SENTINEL_HOSTS",
    }
    named = {
        each
        for each in declared(WebUISettings, "airis:webui")
        if re.search(r"_(URL|URLS|URI|HOST|HOSTS|ENDPOINT)(_|$)", each)
    }
    asked = {variable for row in TABLE for variable in row.variables.values()}
    assert len(named) > 20
    assert sorted(named - asked - no_server) == []


def test_every_key_of_a_target_is_a_setting() -> None:
    for row in TABLE:
        models: list[Any] = [StackSettings]
        for part in row.key.removeprefix("airis:").split("."):
            fields = {field.alias or name: field for each in models for name, field in each.model_fields.items()}
            assert part in fields, row.key
            models = list(models_in(fields[part].annotation))


def test_the_targets_of_a_production_stack() -> None:
    stack = wanted(
        proxy={"url": "http://proxy.example.com:3128"},
        webui={
            "database": {"host": "db.example.com", "passwordFrom": {"name": "db", "key": "password"}},
            "redis": {"urlFrom": {"name": "redis", "key": "url"}},
            "vectorStore": "pgvector",
            "connections": {
                "openai": [{"url": "https://llm.example.com/v1", "keyFrom": {"name": "llm", "key": "api-key"}}]
            },
            "telemetry": {"endpoint": "http://collector:4317"},
        },
    )
    found = {each["key"]: each for each in targets(environment_of(stack))}
    assert found.keys() == {
        "airis:webui.database",
        "airis:webui.redis",
        "airis:webui.connections.openai",
        "airis:webui.telemetry",
        "airis:proxy",
        "airis:ollama",
    }
    assert found["airis:webui.database"]["variables"] == {"url": "DATABASE_URL", "password": "PGPASSWORD"}
    assert found["airis:webui.database"]["kept"] == {"PGPASSWORD": "Secret/db does not exist, or has no key password"}
    assert found["airis:webui.telemetry"]["kind"] == "connection"


def environment_of(stack: Any) -> Sequence[Mapping[str, Any]]:
    (pod,) = [each.pod for each in stack.workloads if each.labels["app"] == "airis"]
    found: list[Mapping[str, Any]] = pod["containers"][0]["env"]
    return found


# --- the probe pods


@dataclass(frozen=True)
class FakeCluster(Cluster):
    """A cluster whose pods end immediately, or that fails with `refusal`; records its commands."""

    refusal: str = ""
    interrupted: bool = False
    live: tuple[str, ...] = ("airis", "ollama")
    left: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, Any] = field(default_factory=dict)
    told: list[tuple[str, ...]] = field(default_factory=list)
    made: list[dict[str, Any]] = field(default_factory=list)

    def run(self, *args: str, stdin: str | None = None, timeout: float = 60.0) -> str:
        self.told.append(args)
        if args[0] == "create":
            self.made.extend(json.loads(stdin or "{}")["items"])
            if self.refusal:
                raise KubectlError(self.refusal)
        if args[0] == "logs":
            if self.interrupted:
                raise KeyboardInterrupt
            role = next(each for each in Role if f"-{each}-" in args[1])
            return f"a warning first\n{json.dumps(self.answers.get(role, []))}\n"
        return ""

    def get(self, *args: str) -> list[dict[str, Any]]:
        if args[0] in ("networkpolicies", "serviceaccounts"):
            return [{"metadata": {"name": each}} for each in self.live]
        if args[1].startswith("--selector"):
            return [
                {"metadata": {"name": name, "creationTimestamp": when}, "status": {"phase": "Failed"}}
                for name, when in self.left.items()
            ]
        ended = {"containerStatuses": [{"name": "probe", "state": {"terminated": {"exitCode": 0}}}]}
        return [{**each, "status": ended} for each in self.made if each["metadata"]["name"] in args]

    @property
    def deleted(self) -> set[str]:
        """The deleted pods."""
        return {name for args in self.told if args[0] == "delete" for name in args[2:] if not name.startswith("--")}


def cluster(**more: Any) -> FakeCluster:
    return FakeCluster(Path("kubectl"), "airis", **more)


STACK = {
    "proxy": {"url": "http://proxy:3128"},
    "webui": {
        "sessionKeyFrom": {"name": "session", "key": "key"},
        "database": {"host": "db", "passwordFrom": {"name": "db", "key": "password"}},
        "antiAffinity": {},
        "env": {"GREETING": "$(HOME) stays"},
    },
    "ollama": {"models": ["llama3.2:1b", "hf.co/someone/model:Q4_K_M"], "gpu": {"count": 1}},
}


def test_probe_pods_match_policies_but_no_service_or_controller() -> None:
    on = cluster()
    stack = wanted(**STACK)
    probe(on, observed(stack))

    pods = {each["metadata"]["name"].split("-probe-")[1].rpartition("-")[0]: each for each in on.made}
    assert pods.keys() == {"webui", "stranger", "ollama"}
    labels = {role: each["metadata"]["labels"] for role, each in pods.items()}
    assert labels["webui"]["app"] == "airis"
    assert labels["ollama"]["app"] == "ollama"
    assert labels["stranger"] == {"airis.dev/doctor": "probe"}
    for each in pods.values():
        spec = each["spec"]
        assert "pod-template-hash" not in each["metadata"]["labels"]
        assert spec["readinessGates"], "a Service would lead to it"
        assert not re.search(r"-\d+$", each["metadata"]["name"]), "a StatefulSet would take it over"
        assert spec["restartPolicy"] == "Never"
        assert spec["activeDeadlineSeconds"] <= 300
        assert "podAntiAffinity" not in spec.get("affinity", {})
        assert not [one for one in spec["volumes"] if "persistentVolumeClaim" in one]
        (container,) = spec["containers"]
        assert container["image"] == "ghcr.io/open-webui/open-webui:v0.12.4"
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert "nvidia.com/gpu" not in container["resources"]["limits"]
    assert "$(" not in "".join(
        re.sub(r"\$\$\(", "", part) for part in pods["webui"]["spec"]["containers"][0]["command"]
    )


def test_probe_pods_read_secrets_by_reference() -> None:
    on = cluster()
    probe(on, observed(wanted(**STACK)))

    (pod,) = [each for each in on.made if each["metadata"]["labels"].get("app") == "airis"]
    references = {each["name"]: each["valueFrom"]["secretKeyRef"] for each in _env(pod) if "valueFrom" in each}
    assert references["PGPASSWORD"] == {"name": "db", "key": "password", "optional": True}
    request = json.loads(pod["spec"]["containers"][0]["command"][-1].replace("$$(", "$("))
    assert {"PGPASSWORD", "WEBUI_SECRET_KEY"} <= set(request["hidden"])
    (stranger,) = [each for each in on.made if "app" not in each["metadata"]["labels"]]
    assert _env(stranger) == []
    (ollama,) = [each for each in on.made if each["metadata"]["labels"].get("app") == "ollama"]
    assert [each["values"]["url"] for each in _request(ollama)["targets"]] == [
        "https://registry.ollama.ai/v2/",
        "https://hf.co/v2/",
    ]
    assert "HTTPS_PROXY" in {each["name"] for each in _env(ollama)}


def _env(pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pod["spec"]["containers"][0]["env"]
    return found


def _request(pod: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(pod["spec"]["containers"][0]["command"][-1])
    return found


@pytest.mark.parametrize("how", ["well", "refused", "interrupted"])
def test_probe_pods_are_always_deleted(how: str) -> None:
    on = cluster(refusal="pods is forbidden" if how == "refused" else "", interrupted=how == "interrupted")
    if how == "interrupted":
        with pytest.raises(KeyboardInterrupt):
            probe(on, observed(wanted()))
    else:
        probe(on, observed(wanted()))
    assert on.made
    assert on.deleted == {each["metadata"]["name"] for each in on.made}
    assert {args[0] for args in on.told} <= {"get", "create", "logs", "delete"}


def test_only_leftovers_of_killed_probes_are_deleted() -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    on = cluster(left={"old": "2026-01-01T00:00:00Z", "somebody-elses": now})
    probe(on, observed(wanted()))
    assert on.deleted == {"old", *(each["metadata"]["name"] for each in on.made)}


def test_a_probe_without_the_namespace_is_not_checked() -> None:
    on = cluster(refusal='Error from server (NotFound): namespaces "airis" not found')
    seen = observed(wanted())
    seen = replace(seen, probed=probe(on, seen))
    ((state, what),) = outcomes("reach", seen)
    assert state is State.NOT_CHECKED
    assert {each["kind"] for each in on.made} == {"Pod"}  # it does not create the namespace
    assert "namespace airis does not exist yet" in what


def test_a_probe_creates_no_pods_in_another_cluster() -> None:
    on = cluster()
    seen = replace(observed(wanted()), identity="it has another uid")
    assert "it has another uid" in probe(on, seen).obstacle
    assert on.told == []


def test_a_probe_needs_a_stack(command: Command) -> None:
    code, _, err = command("doctor", "--probe")
    assert code == 1
    assert "--probe needs --stack" in err


# --- the findings


def reached(role: Role, key: str, at: str, failed: str = "", why: str = "", **more: Any) -> Reached:
    given = {"addresses": (), "passed": ("name",), "note": "", **more}
    return Reached(role, key, "a server", at, failed=failed, why=why, **given)


def test_the_failing_step_is_reported_with_a_remedy() -> None:
    found = [
        reached(Role.WEBUI, "airis:webui.redis", "redis:6379", passed=("name", "connection", "PING")),
        reached(Role.WEBUI, "airis:webui.database", "db:5432", "TLS", "self-signed certificate"),
        reached(Role.OLLAMA, "airis:ollama.models", "registry.ollama.ai:443", "name", "no such name"),
    ]
    seen = replace(observed(wanted()), probed=Probed(found, policies=True))
    assert outcomes("reach", seen) == [
        (State.OK, "airis:webui.redis: a server at redis:6379 (name, connection, PING)"),
        (State.PROBLEM, "airis:webui.database: a server at db:5432: TLS fails: self-signed certificate, after name"),
        (
            State.WARNING,
            "airis:ollama.models: a server at registry.ollama.ai:443: name fails: no such name, after name",
        ),
    ]
    always = replace(seen, wanted=wanted(ollama={"modelPullPolicy": "Always"}))
    assert [state for state, _ in outcomes("reach", always)] == [State.OK, State.PROBLEM, State.PROBLEM]
    assert "airis:caBundle" in CHECKS["reach"].findings(seen)[1].remedy


@pytest.mark.parametrize(("ranges", "named"), [(["10.0.0.0/8"], True), (["192.0.2.0/24"], False)])
def test_an_address_that_restrict_egress_blocks(ranges: list[str], named: bool) -> None:
    stack = wanted(network={"restrictEgress": True, "egressTo": ranges})
    found = reached(Role.WEBUI, "airis:webui.database", "db:5432", "connection", "no answer", addresses=["192.0.2.7"])
    (finding,) = CHECKS["reach"].findings(replace(observed(stack), probed=Probed([found], policies=True)))
    assert ("add 192.0.2.7 to airis:network.egressTo" in finding.remedy) is named


def test_servers_of_an_undeployed_stack_are_not_checked() -> None:
    found = reached(Role.WEBUI, "airis:ollama", "ollama-service.airis.svc.cluster.local:11434", "name", "no such name")
    seen = replace(observed(wanted()), probed=Probed([found]))
    assert [state for state, _ in outcomes("reach", seen)] == [State.NOT_CHECKED, State.NOT_CHECKED]


def enforced(webui: str, stranger: str, **more: Any) -> Found:
    """The finding on NetworkPolicies if the two pods fail at these steps; empty for success."""
    at = "ollama-service:11434"
    found = [reached(Role.WEBUI, GUARDED, at, webui), reached(Role.STRANGER, GUARDED, at, stranger)]
    given = {"guarded": at, "policies": True, **more}
    return outcomes("network-policies", replace(observed(wanted()), probed=Probed(found, **given)))


def test_two_probe_pods_show_whether_policies_are_enforced() -> None:
    for (webui, stranger), state, words in (
        (("", "connection"), State.OK, "are enforced"),
        (("", ""), State.WARNING, "are not enforced"),
        (("connection", "connection"), State.NOT_CHECKED, "cannot tell whether"),
        (("", "name"), State.NOT_CHECKED, "cannot tell whether"),
    ):
        ((said, what),) = enforced(webui, stranger)
        assert said is state, what
        assert words in what
    for more in ({"policies": False}, {"guarded": ""}, {"silent": {Role.STRANGER: "no room"}}, {"others": ["open"]}):
        ((said, what),) = enforced("", "", **more)
        assert said is State.NOT_CHECKED, what


# --- the script in the pod


def followed(row: Row, environment: Mapping[str, str], *hidden: str) -> tuple[list[dict[str, Any]], str]:
    """The results of the script for one target with this environment, and its whole output."""
    listed = [{"name": name, "value": "x"} for name in environment]
    request = {"targets": targets(listed, [row]), "hidden": hidden}
    source = (
        Path(probe_script.__file__)
        .read_text(encoding="utf-8")
        .replace("PATIENCE_SECONDS = 6.0", "PATIENCE_SECONDS = 0")
    )
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-c", source, json.dumps(request)],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.stderr == ""
    return json.loads(done.stdout), done.stdout


def said(row: Row, environment: Mapping[str, str], *hidden: str) -> tuple[str, str]:
    """The failing step, and the reason."""
    (found,), _ = followed(row, environment, *hidden)
    return found["failed"], found["why"]


URL = Row("airis:webui", "a server", "http", {"url": "URL", "key": "KEY"}, {"path": "/health"})


def unused() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def test_a_healthy_server_passes_all_steps() -> None:
    with serving({"/health": "{}"}) as port:
        (found,), _ = followed(URL, {"URL": f"http://127.0.0.1:{port}"})
    assert (found["at"], found["passed"], found["failed"]) == (
        f"127.0.0.1:{port}",
        ["name", "connection", "answer"],
        "",
    )


def test_a_wrong_name_port_path_or_url_fails_its_step() -> None:
    assert said(URL, {"URL": "http://nobody.invalid"})[0] == "name"
    assert said(URL, {"URL": f"http://127.0.0.1:{unused()}"}) == ("connection", "Connection refused")
    with serving({}) as port:
        assert said(URL, {"URL": f"http://127.0.0.1:{port}"})[0] == "answer"
    assert said(URL, {"URL": "http://host:port"}) == ("variable", "it is not a valid URL")


def test_a_missing_value_names_its_secret_and_key() -> None:
    request = {
        "targets": targets(
            [{"name": "URL", "valueFrom": {"secretKeyRef": {"name": "where", "key": "url"}}}],
            [URL],
        )
    }
    source = Path(probe_script.__file__).read_text(encoding="utf-8")
    done = subprocess.check_output([sys.executable, "-I", "-c", source, json.dumps(request)], env={}, timeout=50)
    (found,) = json.loads(done)
    assert (found["failed"], found["why"]) == (
        "variable",
        "URL has no value: Secret/where does not exist, or has no key url",
    )


def test_each_of_several_servers_is_tried() -> None:
    row = Row("airis:ollama", "Ollama", "http", {"urls": "URLS"}, {"path": "/api/version"})
    with serving({"/api/version": "{}"}) as port:
        found, _ = followed(row, {"URLS": f"http://127.0.0.1:{port};http://nobody.invalid:1"})
    assert [each["failed"] for each in found] == ["", "name"]


@contextmanager
def asking(password: str, *, tls: ssl.SSLContext | None = None, proxy: bool = False) -> Iterator[int]:
    """A server on loopback, or a proxy, that requires this key."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(self.headers.get("Authorization") == f"Bearer {password}", 401)

        def do_CONNECT(self) -> None:
            self.answer(not proxy, 407)

        def answer(self, welcome: bool, otherwise: int) -> None:
            self.send_response(200 if welcome else otherwise)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args: object) -> None:
            """Logs nothing."""

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                self.close_connection = True

    class Server(HTTPServer):
        def get_request(self) -> tuple[socket.socket, Any]:
            made, address = super().get_request()
            return (tls.wrap_socket(made, server_side=True) if tls else made), address

        def handle_error(self, request: object, client_address: object) -> None:
            """Clients that do not trust it close the connection."""

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def test_a_wrong_key_fails_the_sign_in_and_is_not_printed() -> None:
    with asking("right") as port:
        url = f"http://127.0.0.1:{port}"
        (found,), _ = followed(URL, {"URL": url, "KEY": "right"}, "KEY")
        assert found["passed"] == ["name", "connection", "answer", "sign-in"]
        (found,), text = followed(URL, {"URL": url, "KEY": SECRET}, "KEY")
    assert (found["failed"], found["why"]) == ("sign-in", "401 Unauthorized")
    assert SECRET not in text


def test_a_proxy_that_rejects_the_connection_is_named() -> None:
    with asking("right", proxy=True) as port:
        environment = {"URL": "https://llm.example.com/v1", "HTTPS_PROXY": f"http://user:{SECRET[:4]}@127.0.0.1:{port}"}
        ((found,), text) = followed(URL, environment | {"HTTPS_PROXY": f"http://user:hushhush@127.0.0.1:{port}"})
    assert found["at"] == f"llm.example.com:443 through the proxy 127.0.0.1:{port}"
    assert (found["failed"], found["passed"]) == ("proxy", ["name", "connection"])
    assert "407" in found["why"]
    assert "hushhush" not in text


@pytest.mark.skipif(shutil.which("openssl") is None, reason="it takes openssl")
def test_tls_trusts_only_the_stacks_ca(tmp_path: Path) -> None:
    certificate(tmp_path, "ca", "/CN=an-authority", signed=False)
    certificate(tmp_path, "server", "/CN=server", "-addext", "subjectAltName=DNS:localhost")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    trusting = {"SSL_CERT_FILE": str(tmp_path / "ca.crt"), "KEY": "right"}
    with asking("right", tls=tls) as port:
        (found,), _ = followed(URL, {"URL": f"https://localhost:{port}", **trusting})
        assert found["passed"] == ["name", "connection", "TLS", "answer", "sign-in"]
        assert said(URL, {"URL": f"https://localhost:{port}", "KEY": "right"})[0] == "TLS"
        step, why = said(URL, {"URL": f"https://127.0.0.1:{port}", **trusting})
        assert (step, "127.0.0.1" in why) == ("TLS", True)
        missing = {**trusting, "SSL_CERT_FILE": str(tmp_path / "none.crt")}
        assert said(URL, {"URL": f"https://localhost:{port}", **missing})[0] != ""
    with serving({"/health": "{}"}) as port:
        assert said(URL, {"URL": f"https://localhost:{port}", **trusting}) == (
            "TLS",
            "the server does not use TLS on this port",
        )


REDIS = next(each for each in TABLE if each.kind == "redis")


def test_a_password_that_breaks_its_url_is_not_printed() -> None:
    (found,), text = followed(REDIS, {"REDIS_URL": f"redis://:{SECRET}@127.0.0.1:1/0"}, "REDIS_URL")
    assert found["failed"] == "variable"
    assert "percent-encoded" in found["why"]
    assert found["at"] == ""
    for part in (SECRET, "ss:w", "w/rd", "rd%41"):
        assert part not in text


def test_every_encoding_of_a_secret_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:p%40ss@host:6379/0")
    hidden = probe_script.hidden_texts(["REDIS_URL", "UNSET"])
    assert {"p@ss", "p%40ss", "redis://:p%40ss@host:6379/0"} <= set(hidden)
    assert hidden == sorted(hidden, key=len, reverse=True)


def test_a_kubectl_error_becomes_the_obstacle_of_the_probe() -> None:
    """kubectl's message becomes the reason."""
    on = cluster(refusal="pods is forbidden: no quota")
    seen = observed(wanted())
    seen = replace(seen, probed=probe(on, seen))
    ((state, what),) = outcomes("reach", seen)
    assert (state, "no quota" in what) == (State.NOT_CHECKED, True)
