"""Anonymous lookups of images in a real registry: without TLS on loopback, and with TLS, tokens and a proxy."""

from collections.abc import Iterator

import pytest

from airis.doctor.checks import State
from airis.doctor.registry import Answer, Presence, look_up
from airis.terminal.errors import EnvironmentProblem
from tests.registry.registry import Registry, running
from tests.unit.doctors import node, observed, outcomes, wanted

pytestmark = pytest.mark.timeout(600)  # the first run builds it

BOTH = ("linux/amd64", "linux/arm64")
DIGEST = f"sha256:{'0' * 64}"


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    try:
        with running(["registry-1.docker.io", "ghcr.io", "mirror.example.com"]) as found:
            yield found
    except EnvironmentProblem as problem:
        pytest.skip(f"NOT CHECKED, because the registry cannot be built here: {problem.message}")


@pytest.fixture
def outside(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The same registry through the environment's proxy and authorities, for every host name."""
    monkeypatch.setenv("HTTPS_PROXY", registry.proxy)
    monkeypatch.setenv("SSL_CERT_FILE", str(registry.authorities))
    for name in (
        "https_proxy",
        "NO_PROXY",
        "no_proxy",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "ALL_PROXY",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    return registry


def asked(image: str) -> Answer:
    return look_up([image])[image]


def test_an_index_names_its_platforms(registry: Registry) -> None:
    digest = registry.push("team/chat", "1.0.0", *BOTH)

    there = Answer(Presence.THERE, BOTH)
    assert asked(f"{registry.plain}/team/chat:1.0.0") == there
    assert asked(f"{registry.plain}/team/chat@{digest}") == there
    assert (
        asked(f"{registry.plain}/team/chat:other@{digest}") == there
    )  # as in the kubelet, the digest takes precedence


def test_a_single_image_has_the_platform_of_its_configuration(registry: Registry) -> None:
    registry.push("team/single", "latest", "linux/arm64")

    assert asked(f"{registry.plain}/team/single") == Answer(Presence.THERE, ("linux/arm64",))


def test_a_nonexistent_image_is_missing(registry: Registry) -> None:
    registry.push("team/chat", "1.0.0", *BOTH)

    for name in ("team/chat:1.0.1", f"team/chat@{DIGEST}", "team/nothing:1.0.0"):
        assert asked(f"{registry.plain}/{name}") == Answer(Presence.MISSING), name


def test_short_names_resolve_to_docker_hub(outside: Registry) -> None:
    outside.push("library/redis", "8", *BOTH)
    outside.push("ollama/ollama", "0.34.4", "linux/amd64")

    for name in ("redis:8", "docker.io/redis:8", "docker.io/library/redis:8", "index.docker.io/redis:8"):
        assert asked(name) == Answer(Presence.THERE, BOTH), name
    assert asked("ollama/ollama:0.34.4") == Answer(Presence.THERE, ("linux/amd64",))
    assert asked("ollama/ollama:0.34.5") == Answer(Presence.MISSING)


def test_an_anonymous_token_shows_public_images(outside: Registry) -> None:
    outside.push("open-webui/open-webui", "v0.12.4", *BOTH)
    outside.push("private/chat", "1.0.0", *BOTH)
    outside.push("hidden/chat", "1.0.0", *BOTH)

    assert asked("ghcr.io/open-webui/open-webui:v0.12.4") == Answer(Presence.THERE, BOTH)
    assert asked("ghcr.io/open-webui/open-webui:v0.12.5") == Answer(Presence.MISSING)
    assert asked("ghcr.io/private/chat:1.0.0") == Answer(Presence.HIDDEN)  # a token without access
    assert asked("ghcr.io/hidden/chat:1.0.0") == Answer(Presence.HIDDEN)  # no token
    assert asked("mirror.example.com/open-webui/open-webui:v0.12.4").presence is Presence.THERE


def test_the_stack_s_images_and_the_nodes(outside: Registry) -> None:
    """As `airis doctor` combines them."""
    outside.push("team/chat", "2.0.0", "linux/amd64")
    outside.push("team/ollama", "2.0.0", *BOTH)
    arm = {
        **node("a"),
        "status": {**node("a")["status"], "nodeInfo": {"operatingSystem": "linux", "architecture": "arm64"}},
    }

    def found(chat: str) -> dict[str, tuple[State, str]]:
        stack = wanted(webui={"image": f"ghcr.io/{chat}"}, ollama={"image": "ghcr.io/team/ollama:2.0.0"})
        seen = observed(stack, objects={"nodes": [arm]}, images=look_up(stack.images))
        return {what.split()[1].rpartition("/")[2]: (state, what) for state, what in outcomes("images", seen)}

    here = found("team/chat:2.0.0")
    assert here["chat:2.0.0"][0] is State.PROBLEM
    assert "is built for linux/amd64, not for linux/arm64" in here["chat:2.0.0"][1]
    assert here["ollama:2.0.0"][0] is State.OK
    assert found("team/chat:2.0.1")["chat:2.0.1"] == (State.PROBLEM, "image ghcr.io/team/chat:2.0.1 does not exist")
    assert found("hidden/chat:1")["chat:1"][0] is State.PROBLEM


def test_an_untrusted_certificate_leaves_the_image_unknown(outside: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")

    found = asked("ghcr.io/open-webui/open-webui:v0.12.4")

    assert found.presence is Presence.UNKNOWN
    assert found.why == "ghcr.io: this machine does not trust its certificate, or it does not use TLS"


def test_a_bundle_that_does_not_exist_is_named(outside: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/authorities.pem")

    assert asked("ghcr.io/a/b:1").why == "ghcr.io: REQUESTS_CA_BUNDLE names a file that does not exist"
