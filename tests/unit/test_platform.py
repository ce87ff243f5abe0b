"""Settings that all workloads share: mirror, proxy, certificate authorities, labels and annotations."""

from collections.abc import Mapping
from typing import Any

import pytest

from airis.render.program import Rendering
from settings.types.images import mirrored
from settings.types.releases import OLLAMA, OPEN_WEBUI
from tests.unit.conftest import Refuse
from tests.unit.drawing import container, draw_once, env, manifest, pod_spec, workloads

pytestmark = pytest.mark.timeout(60)

PULLING: dict[str, object] = {"ollama": {"models": ["llama3.2:1b"]}}
SECRET_URL = {"name": "proxy", "key": "url"}


def webui(drawn: Rendering) -> Mapping[str, Any]:
    return manifest(drawn, "Deployment", "airis-deployment")


def ollama(drawn: Rendering) -> Mapping[str, Any]:
    return manifest(drawn, "StatefulSet", "ollama")


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("ollama/ollama:0.34.4", "mirror.example.com/hub/ollama/ollama:0.34.4"),
        ("redis:8", "mirror.example.com/hub/library/redis:8"),
        ("redis", "mirror.example.com/hub/library/redis"),
        ("ghcr.io/a/b/c:1", "mirror.example.com/hub/a/b/c:1"),
        ("localhost/a:1", "mirror.example.com/hub/a:1"),
        ("registry:5000/a:1", "mirror.example.com/hub/a:1"),
        ("docker.io/library/redis:8", "mirror.example.com/hub/library/redis:8"),
        ("a/b@sha256:" + "0" * 64, "mirror.example.com/hub/a/b@sha256:" + "0" * 64),
    ],
)
def test_a_mirror_replaces_the_registry(image: str, expected: str) -> None:
    assert mirrored(image, "mirror.example.com/hub") == expected
    assert mirrored(image, None) == image


def test_every_image_comes_from_the_mirror() -> None:
    drawn = draw_once(**PULLING, registry={"mirror": "mirror.example.com/hub"})
    images = {each["image"] for workload in workloads(drawn) for each in pod_spec(workload)["containers"]}
    assert images == {
        f"mirror.example.com/hub/open-webui/open-webui:v{OPEN_WEBUI.version}",
        f"mirror.example.com/hub/ollama/ollama:{OLLAMA.version}",
    }


def test_only_external_requests_use_the_proxy() -> None:
    drawn = draw_once(
        proxy={"url": "http://proxy.example.com:3128", "noProxy": [".corp.example.com", "10.0.0.0/8"]},
        clusterDomain="k8s.example",
    )
    direct = "localhost,127.0.0.1,::1,.svc,.k8s.example,.corp.example.com,10.0.0.0/8"
    both = {"HTTPS_PROXY": "http://proxy.example.com:3128", "NO_PROXY": direct}
    assert both.items() <= env(ollama(drawn)).items()
    assert {**both, "HTTP_PROXY": "http://proxy.example.com:3128"}.items() <= env(webui(drawn)).items()
    # Ollama's documentation: HTTP_PROXY "may interrupt client connections to the server"
    assert "HTTP_PROXY" not in env(ollama(drawn))


def test_a_proxy_with_a_password_comes_from_a_secret() -> None:
    drawn = draw_once(proxy={"urlFrom": SECRET_URL})
    assert env(webui(drawn))["HTTP_PROXY"] == {"secretKeyRef": SECRET_URL}
    assert env(ollama(drawn))["HTTPS_PROXY"] == {"secretKeyRef": SECRET_URL}


def test_model_jobs_bypass_the_proxy() -> None:
    drawn = draw_once(**PULLING, proxy={"url": "http://proxy.example.com:3128"})
    (job,) = [each for each in workloads(drawn) if each["kind"] == "Job"]
    names = {
        variable["name"]
        for part in ("initContainers", "containers")
        for each in pod_spec(job).get(part, [])
        for variable in each["env"]
    }
    assert "OLLAMA_HOST" in names
    assert names.isdisjoint({"HTTP_PROXY", "HTTPS_PROXY"})


@pytest.mark.parametrize(
    ("bundle", "source"),
    [
        ({"configMap": "roots"}, {"configMap": {"name": "roots", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}),
        (
            {"secret": "roots", "key": "all.pem"},
            {"secret": {"secretName": "roots", "items": [{"key": "all.pem", "path": "ca.crt"}]}},
        ),
    ],
)
def test_the_ca_bundle_is_mounted_and_set_in_variables(bundle: dict[str, str], source: dict[str, Any]) -> None:
    drawn = draw_once(caBundle=bundle)
    for workload in (webui(drawn), ollama(drawn)):
        assert {"name": "ca-bundle", **source} in pod_spec(workload)["volumes"]
        mount = {"name": "ca-bundle", "mountPath": "/etc/airis/ca", "readOnly": True}
        assert mount in container(workload)["volumeMounts"]
        assert env(workload)["SSL_CERT_FILE"] == env(workload)["REQUESTS_CA_BUNDLE"] == "/etc/airis/ca/ca.crt"


def test_defaults_render_nothing() -> None:
    drawn = draw_once()
    for workload in (webui(drawn), ollama(drawn)):
        assert env(workload).keys().isdisjoint({"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"})
        assert "ca-bundle" not in {volume["name"] for volume in pod_spec(workload)["volumes"]}


def test_labels_and_annotations_are_on_every_object_and_not_in_selectors() -> None:
    drawn = draw_once(
        **PULLING,
        labels={"team": "search"},
        annotations={"example.com/owner": "Search, 3rd floor"},
        webui={"replicas": 0},
    )
    plain = draw_once(**PULLING, webui={"replicas": 0})
    for each in drawn.objects:
        assert each.manifest["metadata"]["labels"]["team"] == "search"
        assert each.manifest["metadata"]["annotations"]["example.com/owner"] == "Search, 3rd floor"
    for workload in workloads(drawn):
        metadata = workload["spec"]["template"]["metadata"]
        assert (metadata["labels"]["team"], metadata["annotations"]["example.com/owner"]) == (
            "search",
            "Search, 3rd floor",
        )
    for kind, name in (("Deployment", "airis-deployment"), ("StatefulSet", "ollama")):
        assert manifest(drawn, kind, name)["spec"]["selector"] == manifest(plain, kind, name)["spec"]["selector"]


def test_pod_labels_and_annotations_are_only_on_pods() -> None:
    drawn = draw_once(ollama={"podLabels": {"tier": "gpu"}, "podAnnotations": {"example.com/scrape": "no"}})
    metadata = ollama(drawn)["spec"]["template"]["metadata"]
    assert metadata["labels"]["tier"] == "gpu"
    assert metadata["annotations"] == {"example.com/scrape": "no"}
    assert "tier" not in ollama(drawn)["metadata"]["labels"]
    assert "tier" not in webui(drawn)["spec"]["template"]["metadata"]["labels"]


def test_config_map_env() -> None:
    drawn = draw_once(webui={"configMapEnv": {"BANNER": {"name": "texts", "key": "banner"}}})
    assert env(webui(drawn))["BANNER"] == {"configMapKeyRef": {"name": "texts", "key": "banner"}}


def test_values_of_the_stacks_secret_can_be_referenced() -> None:
    drawn = draw_once(
        secrets={"values": {"hf": "hf_secret"}},
        webui={"secretEnv": {"HF_TOKEN": {"name": "airis-secrets", "key": "hf"}}},
    )
    assert "hf" in manifest(drawn, "Secret", "airis-secrets")["stringData"].value
    assert env(webui(drawn))["HF_TOKEN"] == {"secretKeyRef": {"name": "airis-secrets", "key": "hf"}}
    other = draw_once(secrets={"values": {"hf": "hf_other"}})
    checksum = "airis.dev/secrets-checksum"
    before, after = (webui(each)["spec"]["template"]["metadata"]["annotations"][checksum] for each in (drawn, other))
    assert before != after


@pytest.mark.parametrize(
    ("config", "key", "allowed"),
    [
        ("airis:registry: {mirror: 'https://m.example.com'}", "registry.mirror", "without scheme and trailing /"),
        ("airis:registry: {mirror: 'm.example.com/'}", "registry.mirror", "without scheme and trailing /"),
        ("airis:proxy: {url: proxy.example.com}", "proxy.url", "a URL such as http://proxy.example.com:3128"),
        ("airis:proxy: {url: 'socks5://p:1080'}", "proxy.url", "a URL such as http://proxy.example.com:3128"),
        ("airis:proxy: {url: 'http://u:hunter2@p:1'}", "proxy.url", "no password in plain text"),
        ("airis:proxy: {noProxy: [a.example.com]}", "proxy.noProxy", "only together with url or urlFrom"),
        ("airis:proxy: {url: 'http://p:1', noProxy: ['*.a.com']}", "proxy.noProxy[0]", "without scheme or *"),
        ("airis:proxy: {url: 'http://p:1', urlFrom: {name: a, key: b}}", "proxy.url", "one of this and urlFrom"),
        ("airis:caBundle: {configMap: a, secret: b}", "caBundle.configMap", "one of this and secret, not both"),
        ("airis:labels: {app: x}", "labels", "no app: airis sets app,"),
        ("airis:labels: {app.kubernetes.io/name: x}", "labels", "no app.kubernetes.io/name: airis sets"),
        ("airis:annotations: {pulumi.com/skipAwait: 'true'}", "annotations", "no pulumi.com/skipAwait: airis sets"),
        ("airis:ollama: {podLabels: {app: x}}", "ollama.podLabels", "no app: airis sets app,"),
        ("airis:labels: {team: 'a b'}", "labels.team", "a label value"),
        (
            "airis:webui: {env: {A: x}, configMapEnv: {A: {name: a, key: b}}}",
            "webui.env.A",
            "each name once: it is also in configMapEnv",
        ),
        ("airis:webui: {configMapEnv: {HOME: {name: a, key: b}}}", "webui.configMapEnv.HOME", "from the image"),
    ],
)
def test_invalid_settings_are_refused(config: str, key: str, allowed: str, refuse: Refuse) -> None:
    said = refuse(config)
    assert "1 setting is wrong" in said
    assert f"\n  airis:{key}\n" in said
    assert allowed in said.splitlines()[-1]
    assert "hunter2" not in said
