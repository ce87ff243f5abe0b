"""Settings that only some releases support: refused, or warned of if the release of the image is unknown."""

import json
from collections.abc import Mapping
from typing import NamedTuple

import pytest

from settings import SettingsError, StackSettings, load
from settings.ollama.ollama import OllamaSettings
from settings.types.images import is_mutable
from settings.types.releases import OLLAMA, OPEN_WEBUI, Application, Supported, release, release_of
from settings.webui.webui import WebUISettings

pytestmark = pytest.mark.timeout(60)

DIGEST = f"@sha256:{'0' * 64}"
LDAP = {
    "host": "ldap.example.com",
    "appDn": "cn=a,dc=example,dc=com",
    "passwordFrom": {"name": "a", "key": "b"},
    "searchBase": "dc=example,dc=com",
}


def read(section: str, settings: Mapping[str, object]) -> StackSettings:
    return load({f"airis:{section}": json.dumps(settings)}, source="Pulumi.test.yaml")


def problems(section: str, settings: Mapping[str, object]) -> dict[str, str]:
    """Errors, by key."""
    try:
        read(section, settings)
    except SettingsError as error:
        return {each.key: each.allowed for each in error.problems}
    return {}


def about(key: str, settings: StackSettings) -> list[str]:
    """The warnings about a key."""
    return [each for each in settings.warnings() if each.startswith(f"{key}: ")]


@pytest.mark.parametrize(
    ("image", "application", "found"),
    [
        ("ollama/ollama:0.17.4", OLLAMA, (0, 17, 4)),
        ("ollama/ollama:0.34.4-rocm", OLLAMA, (0, 34, 4)),
        ("docker.io/ollama/ollama:0.34.4", OLLAMA, (0, 34, 4)),
        ("registry.example.com:5000/hub/ollama/ollama:0.34.4", OLLAMA, (0, 34, 4)),
        (f"ollama/ollama:0.34.4{DIGEST}", OLLAMA, (0, 34, 4)),
        ("ghcr.io/open-webui/open-webui:v0.12.4", OPEN_WEBUI, (0, 12, 4)),
        ("ghcr.io/open-webui/open-webui:v0.12.4-slim", OPEN_WEBUI, (0, 12, 4)),
        ("openwebui/open-webui:v0.12.3", OPEN_WEBUI, (0, 12, 3)),
        (f"ollama/ollama{DIGEST}", OLLAMA, None),
        ("ollama/ollama", OLLAMA, None),
        ("ollama/ollama:latest", OLLAMA, None),
        ("ollama/ollama:0.34", OLLAMA, None),
        ("ollama/ollama:rocm", OLLAMA, None),
        ("registry.example.com/team/ollama:0.17.4", OLLAMA, None),
        ("ghcr.io/airis/airis:0.12.4", OPEN_WEBUI, None),
        ("ghcr.io/open-webui/open-webui:git-1a2b3c4", OPEN_WEBUI, None),
    ],
)
def test_the_release_of_an_image(image: str, application: Application, found: tuple[int, int, int] | None) -> None:
    assert release_of(image, application) == found


@pytest.mark.parametrize("version", ["0.34", "latest", "0.34.4rocm", ""])
def test_texts_that_are_not_a_release(version: str) -> None:
    with pytest.raises(ValueError, match="is not a release"):
        release(version)


def test_the_default_images_are_pinned_images_of_the_applications() -> None:
    images = {OLLAMA: OllamaSettings().image, OPEN_WEBUI: WebUISettings().image}
    assert images == {OLLAMA: "ollama/ollama:0.34.4", OPEN_WEBUI: "ghcr.io/open-webui/open-webui:v0.12.4"}
    for application, image in images.items():
        assert release_of(image, application) == release(application.version)
        assert not is_mutable(image)
    assert list(StackSettings().warnings()) == []


@pytest.mark.parametrize(
    ("mark", "known", "unknown", "words"),
    [
        (Supported(before="0.30.0"), "0.29.9", "0.30.0", "before 0.30.0"),
        (Supported(since="0.30.0"), "0.30.0", "0.29.9", "from 0.30.0 on"),
        (Supported(since="0.9.0", before="0.10.0"), "0.9.11", "0.10.0", "from 0.9.0 on and before 0.10.0"),
    ],
)
def test_marks(mark: Supported, known: str, unknown: str, words: str) -> None:
    assert (mark.by(release(known)), mark.by(release(unknown)), str(mark)) == (True, False, words)


class Case(NamedTuple):
    """A setting, a release of its image that supports it, and one that does not."""

    key: str
    settings: Mapping[str, object]
    image: str
    known: str
    unknown: str
    words: str

    @property
    def section(self) -> str:
        return self.key.partition(":")[2].partition(".")[0]

    def with_tag(self, tag: str) -> dict[str, object]:
        return {**self.settings, "image": f"{self.image}:{tag}"}


def created(**parameters: object) -> dict[str, object]:
    return {"create": [{"name": "a", "from": "b"}, {"name": "c", "from": "b", "parameters": parameters}]}


def library(name: str) -> dict[str, object]:
    return {"gpu": {"vendor": "amd"}, "server": {"llmLibrary": name}}


OLLAMAS, WEBUIS, MIRRORED = "ollama/ollama", "ghcr.io/open-webui/open-webui", "mirror.example.com/ollama/ollama"
SERVER, PARAMETERS = "airis:ollama.server", "airis:ollama.create[1].parameters"
EMAIL = {"auth": {"ldap": {**LDAP, "defaultEmailDomain": "example.com"}}}
CASES = [
    Case(f"{SERVER}.newEngine", {"server": {"newEngine": False}}, OLLAMAS, "0.24.0", "0.30.0", "before 0.30.0"),
    Case(
        f"{SERVER}.multiUserCache",
        {"server": {"multiUserCache": True}},
        OLLAMAS,
        "0.17.4",
        "0.34.4-rc0",
        "before 0.30.0",
    ),
    Case(f"{SERVER}.llmLibrary", library("rocm"), OLLAMAS, "0.17.4-rocm", "0.34.4-rocm", "before 0.30.0"),
    Case(f"{SERVER}.llmLibrary", library("rocm_v7_2"), OLLAMAS, "0.34.4-rocm", "0.17.4-rocm", "from 0.30.0 on"),
    Case(f"{PARAMETERS}.typicalP", created(typicalP=1), MIRRORED, "0.34.0", "0.34.1", "before 0.34.1"),
    Case(f"{PARAMETERS}.draftNumPredict", created(draftNumPredict=0), OLLAMAS, "0.30.0", "0.24.0", "from 0.30.0 on"),
    Case("airis:webui.auth.ldap.defaultEmailDomain", EMAIL, WEBUIS, "v0.12.4", "v0.12.3", "from 0.12.4 on"),
]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.key)


@every_case
def test_settings_that_the_release_does_not_support_are_refused(case: Case) -> None:
    assert problems(case.section, case.with_tag(case.known)) == {}
    found = problems(case.section, case.with_tag(case.unknown))
    assert found.keys() == {case.key}
    told = f"{'.'.join(map(str, release(case.unknown)))}, the release in image, does not support it; releases {case.words} do"
    assert told in found[case.key]


@every_case
def test_supported_settings_are_accepted_without_warnings(case: Case) -> None:
    assert about(case.key, read(case.section, case.with_tag(case.known))) == []


@pytest.mark.parametrize("image", [f"ollama/ollama{DIGEST}", "ollama/ollama:latest", "registry.example.com/team/llm:1"])
def test_an_image_of_unknown_release_is_treated_like_the_default(image: str) -> None:
    parameters = {"server": {"newEngine": True, "flashAttention": True}, **created(typicalP=1, topP=1)}
    settings = read("ollama", {**parameters, "image": image})
    assert about("airis:ollama.server.newEngine", settings) == [
        f"airis:ollama.server.newEngine: Ollama {OLLAMA.version} does not support it, releases before 0.30.0 do; "
        f"the release of {image} is unknown"
    ]
    assert len(about("airis:ollama.create[1].parameters.typicalP", settings)) == 1
    assert about("airis:ollama.server.flashAttention", settings) == []
    assert about("airis:ollama.create[1].parameters.topP", settings) == []


def test_no_warning_for_a_disabled_ollama() -> None:
    settings = read("ollama", {"enabled": False, "image": "a/b:1", "server": {"newEngine": True}})
    assert [each for each in settings.warnings() if "newEngine" in each] == []


OFF = "f16, or flashAttention: true or null: a quantized cache requires flash attention"
UNSAID = "f16, or also flashAttention: true: otherwise, Ollama before 0.30.0 ignores a quantized cache"


@pytest.mark.parametrize(
    ("image", "server", "allowed"),
    [
        ("ollama/ollama:0.24.0", {"flashAttention": None}, UNSAID),
        ("ollama/ollama:0.24.0", {"flashAttention": False}, OFF),
        ("ollama/ollama:0.24.0", {"flashAttention": True}, None),
        ("ollama/ollama:0.30.0", {"flashAttention": None}, None),
        ("ollama/ollama:0.30.0", {"flashAttention": False}, OFF),
        ("ollama/ollama:0.30.0", {"flashAttention": True}, None),
        ("team/llm:1", {"flashAttention": None}, None),
        ("team/llm:1", {"flashAttention": False}, OFF),
    ],
)
@pytest.mark.parametrize("cache", ["q8_0", "q4_0"])
def test_a_quantized_cache_requires_flash_attention(
    image: str, server: dict[str, object], allowed: str | None, cache: str
) -> None:
    found = problems("ollama", {"image": image, "server": {**server, "kvCacheType": cache}})
    assert found == ({} if allowed is None else {"airis:ollama.server.kvCacheType": allowed})
    assert problems("ollama", {"image": image, "server": {**server, "kvCacheType": "f16"}}) == {}
