"""The check `images`, with the answers of registries and the status of nodes."""

from collections.abc import Mapping
from typing import Any

import pytest

from airis.cluster.kubectl import KubeObject
from airis.doctor.checks import CHECKS, State
from airis.doctor.observation import Observation
from airis.doctor.registry import Answer, Presence
from airis.doctor.requirements import Requirements
from settings.webui.webui import WebUISettings
from tests.unit.doctors import node, observed, outcomes, wanted

pytestmark = pytest.mark.timeout(60)

OK, WARNING, PROBLEM, UNKNOWN = State.OK, State.WARNING, State.PROBLEM, State.NOT_CHECKED
IMAGE, OLLAMA = "registry.example.com/team/chat:1.0.0", "registry.example.com/team/ollama:1.0.0"
BOTH = ("linux/amd64", "linux/arm64")
MISSING, HIDDEN = Answer(Presence.MISSING), Answer(Presence.HIDDEN)


def there(*platforms: str) -> Answer:
    return Answer(Presence.THERE, platforms)


def stack(image: str = IMAGE, **more: Any) -> Requirements:
    return wanted(webui={"image": image}, ollama={"image": OLLAMA}, **more)


def machine(name: str, architecture: str, *images: str, **more: Any) -> KubeObject:
    made: dict[str, Any] = dict(node(name, **more))
    info = {"operatingSystem": "linux", "architecture": architecture}
    return {**made, "status": {**made["status"], "nodeInfo": info, "images": [{"names": list(images)}]}}


def seen(answer: Answer, *nodes: KubeObject, image: str = IMAGE, **more: Any) -> Observation:
    """The observation if the registry answers this for the WebUI's image, and has Ollama's for all platforms."""
    return observed(stack(image, **more), objects={"nodes": nodes}, images={image: answer, OLLAMA: there(*BOTH)})


def said(found: Observation) -> tuple[State, str, str]:
    """State, text and remedy of the finding about the WebUI's image."""
    (other,) = [each for each in CHECKS["images"].findings(found) if OLLAMA in each.what]
    (first,) = [each for each in CHECKS["images"].findings(found) if OLLAMA not in each.what]
    assert other.state is OK
    return first.state, first.what, first.remedy


AMD, ARM = machine("a", "amd64"), machine("b", "arm64")


@pytest.mark.parametrize(
    ("answer", "nodes", "state", "words"),
    [
        (there(*BOTH), [AMD, ARM], OK, f"image {IMAGE} exists, for linux/amd64, linux/arm64"),
        (there("linux/amd64"), [AMD], OK, f"image {IMAGE} exists, for linux/amd64"),
        (there("linux/arm64"), [AMD], PROBLEM, "is built for linux/arm64, not for linux/amd64"),
        (there("linux/amd64"), [ARM], PROBLEM, "is built for linux/amd64, not for linux/arm64"),
        (there("linux/amd64"), [AMD, ARM], WARNING, ", not for linux/arm64, the platform of b"),
        (there("windows/amd64"), [AMD], PROBLEM, "is built for windows/amd64, not for linux/amd64"),
        (there("linux/386"), [AMD], OK, "exists, for linux/386"),  # also runs there
        (there("linux/386"), [ARM], PROBLEM, "not for linux/arm64"),
        (there("linux/arm"), [ARM], OK, "exists, for linux/arm"),
        (there(), [AMD], OK, f"image {IMAGE} exists"),  # without platforms
        (there("linux/amd64"), [], OK, "exists, for linux/amd64"),  # nodes may not be listed, or are created on demand
        (there("linux/amd64"), [node("c")], OK, "exists, for linux/amd64"),  # the node does not report its platform
        (MISSING, [AMD], PROBLEM, f"image {IMAGE} does not exist"),
        (HIDDEN, [AMD], PROBLEM, "needs credentials, or does not exist, and the stack sets no pull secret"),
        (Answer(Presence.UNKNOWN, why="x: it does not answer in time"), [AMD], UNKNOWN, "it does not answer in time"),
    ],
)  # fmt: skip
def test_an_image_and_the_nodes(answer: Answer, nodes: list[KubeObject], state: State, words: str) -> None:
    found, what, _ = said(seen(answer, *nodes))

    assert found is state
    assert words in what


@pytest.mark.parametrize("answer", [MISSING, HIDDEN])
def test_the_remedy_names_the_default_image(answer: Answer) -> None:
    _, _, remedy = said(seen(answer, AMD))

    assert remedy.startswith(f"use {WebUISettings().image}, the default of airis:webui.image")


def test_an_image_that_needs_credentials_is_not_checked_with_a_pull_secret() -> None:
    state, what, _ = said(seen(HIDDEN, AMD, imagePullSecrets=["registry"]))

    assert state is UNKNOWN
    assert what.endswith("needs credentials, or does not exist: the stack sets pull secret registry")
    assert (
        said(seen(MISSING, AMD, imagePullSecrets=["registry"]))[0] is PROBLEM
    )  # the registry reports that it is missing


@pytest.mark.parametrize(
    ("registry", "state"),
    [
        ("123456789012.dkr.ecr.eu-central-1.amazonaws.com", UNKNOWN),
        ("europe-west3-docker.pkg.dev", UNKNOWN),
        ("eu.gcr.io", UNKNOWN),
        ("team.azurecr.io", UNKNOWN),
        ("ghcr.io", PROBLEM),
        ("quay.io", PROBLEM),
        ("notgcr.io", PROBLEM),
    ],
)
def test_nodes_of_a_cloud_have_credentials_for_its_registry(registry: str, state: State) -> None:
    image = f"{registry}/team/chat:1.0.0"

    assert said(seen(HIDDEN, AMD, image=image))[0] is state
    assert said(seen(MISSING, AMD, image=image))[0] is PROBLEM


def test_an_image_on_all_nodes_is_not_looked_up() -> None:
    """As after `kind load docker-image` and `minikube image load`."""
    here, digest = (
        machine("a", "amd64", IMAGE),
        machine("b", "amd64", f"{IMAGE.partition(':')[0]}@sha256:{'0' * 64}", IMAGE),
    )
    hub, full = "team/chat:1.0.0", "docker.io/team/chat:1.0.0"

    assert said(seen(MISSING, here, digest))[:2] == (OK, f"image {IMAGE} is present on the nodes")
    assert said(seen(MISSING, here, AMD))[0] is PROBLEM  # the other node would have to pull it
    assert said(seen(MISSING, machine("a", "amd64", full), image=hub))[0] is OK
    latest = "team/chat:latest"
    assert (
        said(seen(MISSING, machine("a", "amd64", f"docker.io/{latest}"), image=latest))[0] is PROBLEM
    )  # always pulled


def test_ineligible_nodes_are_ignored() -> None:
    tainted = machine("b", "arm64", "team=research")

    assert said(seen(there("linux/amd64"), AMD, {**tainted, "spec": node("b", "team").get("spec", {})}))[0] is OK
    gpu = observed(
        wanted(ollama={"image": OLLAMA, "gpu": {"count": 1, "preset": "device-plugin"}}),
        objects={"nodes": [AMD, machine("g", "arm64", gpu="1")]},
        images={OLLAMA: there("linux/amd64")},
    )
    found = [what for state, what in outcomes("images", gpu) if OLLAMA in what and state is PROBLEM]
    assert len(found) == 1
    assert "not for linux/arm64" in found[0]


@pytest.mark.parametrize("answer", [MISSING, HIDDEN])
def test_a_missing_image_on_localhost_is_not_checked(answer: Answer) -> None:
    state, what, _ = said(seen(answer, AMD, image="localhost:5001/chat:1"))

    assert state is UNKNOWN
    assert "on a node, localhost is the node" in what


def test_a_mirror_that_lacks_the_default() -> None:
    mirrored = wanted(registry={"mirror": "mirror.example.com/hub"})
    answers: Mapping[str, Answer] = dict.fromkeys(mirrored.images, MISSING)

    remedies = [each.remedy for each in CHECKS["images"].findings(observed(mirrored, images=answers))]

    assert len(remedies) == 2
    assert all(each.startswith("copy ") and each.endswith("or correct airis:registry.mirror") for each in remedies)


def test_each_image_is_looked_up_once() -> None:
    found = wanted(ollama={"models": ["tiny", "small"], "image": OLLAMA}).images

    assert list(found).count(OLLAMA) == 1
    assert {each.kind for each in found[OLLAMA]} == {"StatefulSet", "Job"}
