"""Where the stacks differ from the Kustomize deployment on purpose. docs/from-kustomize.md argues each of them."""

from typing import NamedTuple


class Deviation(NamedTuple):
    """A field that the reference sets, and the stack leaves out or sets otherwise. The values are as written in YAML."""

    stack: str
    object: str
    field: str
    reference: str
    here: str


class Addition(NamedTuple):
    """Something that the reference does not have: an object, or a field of an object with all that is below it."""

    stack: str
    object: str
    field: str


ALL = "all"
"""Every stack, every object, or the object as a whole."""

DEVIATIONS = [
    Deviation(ALL, "Service/airis-service", "spec.type", '"NodePort"', '"ClusterIP"'),
    Deviation(
        ALL,
        "Deployment/airis-deployment",
        "spec.template.spec.containers[airis].image",
        '"ghcr.io/airis/airis:main"',
        '"ghcr.io/open-webui/open-webui:v0.12.4"',
    ),
    Deviation(
        ALL,
        "Deployment/airis-deployment",
        "spec.template.spec.containers[airis].resources.requests.memory",
        '"524288000"',
        '"1073741824"',
    ),
    Deviation(
        ALL,
        "Deployment/airis-deployment",
        "spec.template.spec.containers[airis].resources.limits.memory",
        '"1073741824"',
        '"2147483648"',
    ),
    Deviation(
        ALL,
        "StatefulSet/ollama",
        "spec.template.spec.containers[ollama].image",
        '"ollama/ollama:latest"',
        '"ollama/ollama:0.34.4"',
    ),
    Deviation(
        "cpu",
        "StatefulSet/ollama",
        "spec.template.spec.containers[ollama].resources.limits[nvidia.com/gpu]",
        '"0"',
        "absent",
    ),
    Deviation(
        ALL,
        "StatefulSet/ollama",
        "spec.template.spec.containers[ollama].volumeMounts[/root/.ollama].name",
        '"ollama-volume"',
        "absent",
    ),
    Deviation(
        ALL,
        "StatefulSet/ollama",
        "spec.template.spec.containers[ollama].volumeMounts[/root/.ollama].mountPath",
        '"/root/.ollama"',
        "absent",
    ),
]

ADDITIONS = [
    Addition(ALL, "Namespace/airis", "metadata.labels[pod-security.kubernetes.io/enforce]"),
    Addition(ALL, "Namespace/airis", "metadata.labels[pod-security.kubernetes.io/audit]"),
    Addition(ALL, "Namespace/airis", "metadata.labels[pod-security.kubernetes.io/warn]"),
    Addition(ALL, "NetworkPolicy/airis", ALL),
    Addition(ALL, "NetworkPolicy/ollama", ALL),
    Addition(ALL, "Job/ollama-pull-0", ALL),
    Addition(ALL, "ConfigMap/ollama-models", ALL),
    Addition(ALL, "NetworkPolicy/ollama-pull", ALL),
    Addition(ALL, "ConfigMap/airis-start", ALL),
    Addition(ALL, "Secret/airis-secrets", ALL),
    Addition(ALL, "ServiceAccount/airis", ALL),
    Addition(ALL, "ServiceAccount/ollama", ALL),
    Addition(ALL, "Service/ollama", ALL),
    Addition(ALL, "PersistentVolumeClaim/ollama-volume-ollama-0", ALL),
    Addition(ALL, "PersistentVolumeClaim/airis-pvc", "metadata.annotations[airis.dev/storage]"),
    Addition(ALL, ALL, "metadata.labels"),
    Addition(ALL, ALL, "metadata.annotations[pulumi.com/skipAwait]"),
    Addition(ALL, "Ingress/airis-ingress", "metadata.annotations[nginx.ingress.kubernetes.io/proxy-body-size]"),
    Addition(ALL, "Ingress/airis-ingress", "metadata.annotations[nginx.ingress.kubernetes.io/proxy-read-timeout]"),
    Addition(ALL, "Ingress/airis-ingress", "metadata.annotations[nginx.ingress.kubernetes.io/proxy-send-timeout]"),
    Addition(ALL, "Ingress/airis-ingress", "metadata.annotations[nginx.ingress.kubernetes.io/proxy-buffering]"),
    Addition(ALL, "Ingress/airis-ingress", "metadata.annotations[nginx.ingress.kubernetes.io/proxy-request-buffering]"),
    Addition(ALL, "Service/airis-service", "metadata.annotations[haproxy.org/timeout-server]"),
    Addition(ALL, "Deployment/airis-deployment", "metadata.annotations[pulumi.com/waitFor]"),
    Addition(ALL, ALL, "spec.template.metadata.labels[app.kubernetes.io/name]"),
    Addition(ALL, ALL, "spec.template.metadata.labels[app.kubernetes.io/instance]"),
    Addition(ALL, ALL, "spec.template.metadata.labels[app.kubernetes.io/part-of]"),
    Addition(ALL, "Deployment/airis-deployment", "spec.template.metadata.annotations[airis.dev/secrets-checksum]"),
    Addition(ALL, "Deployment/airis-deployment", "spec.strategy"),
    Addition(ALL, ALL, "spec.template.spec.securityContext"),
    Addition(ALL, "Deployment/airis-deployment", "spec.template.spec.containers[airis].securityContext"),
    Addition(ALL, "StatefulSet/ollama", "spec.template.spec.containers[ollama].securityContext"),
    Addition(ALL, ALL, "spec.template.spec.serviceAccountName"),
    Addition(ALL, ALL, "spec.template.spec.automountServiceAccountToken"),
    Addition(ALL, ALL, "spec.template.spec.enableServiceLinks"),
    Addition(ALL, "Deployment/airis-deployment", "spec.progressDeadlineSeconds"),
    Addition(ALL, "Deployment/airis-deployment", "spec.template.spec.initContainers"),
    Addition(ALL, "Deployment/airis-deployment", "spec.template.spec.containers[airis].command"),
    Addition(ALL, "Deployment/airis-deployment", "spec.template.spec.containers[airis].volumeMounts[/etc/airis/start]"),
    Addition(ALL, "Deployment/airis-deployment", "spec.template.spec.volumes[start]"),
    Addition(ALL, "Deployment/airis-deployment", "spec.template.spec.containers[airis].startupProbe"),
    Addition(ALL, "Deployment/airis-deployment", "spec.template.spec.containers[airis].readinessProbe"),
    Addition(ALL, "Deployment/airis-deployment", "spec.template.spec.containers[airis].livenessProbe"),
    Addition(ALL, "StatefulSet/ollama", "spec.template.spec.containers[ollama].startupProbe"),
    Addition(ALL, "StatefulSet/ollama", "spec.template.spec.containers[ollama].readinessProbe"),
    Addition(ALL, "StatefulSet/ollama", "spec.template.spec.containers[ollama].livenessProbe"),
    Addition(ALL, "Deployment/airis-deployment", "spec.template.spec.containers[airis].env[WEBUI_SECRET_KEY]"),
    Addition(ALL, "Deployment/airis-deployment", "spec.template.spec.containers[airis].env[ENABLE_DB_MIGRATIONS]"),
    Addition(ALL, "Deployment/airis-deployment", "spec.template.spec.containers[airis].env[ENABLE_PERSISTENT_CONFIG]"),
    Addition(ALL, "Deployment/airis-deployment", "spec.template.spec.containers[airis].env[DATA_DIR]"),
    Addition(ALL, "Deployment/airis-deployment", "spec.template.spec.containers[airis].env[STATIC_DIR]"),
    Addition(ALL, "Deployment/airis-deployment", "spec.template.spec.containers[airis].env[HOME]"),
    Addition(ALL, "Deployment/airis-deployment", "spec.template.spec.containers[airis].env[VECTOR_DB]"),
    Addition(ALL, "Deployment/airis-deployment", "spec.template.spec.containers[airis].env[WEBUI_URL]"),
    Addition(ALL, "Deployment/airis-deployment", "spec.template.spec.containers[airis].env[CORS_ALLOW_ORIGIN]"),
    Addition(ALL, "Deployment/airis-deployment", "spec.template.spec.containers[airis].volumeMounts[/tmp]"),
    Addition(ALL, "Deployment/airis-deployment", "spec.template.spec.volumes[scratch]"),
    Addition(ALL, "StatefulSet/ollama", "spec.template.spec.containers[ollama].env[HOME]"),
    Addition(ALL, "StatefulSet/ollama", "spec.template.spec.containers[ollama].volumeMounts[/home/ollama/.ollama]"),
    Addition(ALL, "StatefulSet/ollama", "spec.template.spec.containers[ollama].volumeMounts[/home/ollama]"),
    Addition(ALL, "StatefulSet/ollama", "spec.template.spec.containers[ollama].volumeMounts[/tmp]"),
    Addition(ALL, "StatefulSet/ollama", "spec.template.spec.volumes[home]"),
    Addition(ALL, "StatefulSet/ollama", "spec.template.spec.volumes[tmp]"),
    Addition(
        ALL, "Deployment/airis-deployment", "spec.template.spec.containers[airis].resources.requests[ephemeral-storage]"
    ),
    Addition(
        ALL, "Deployment/airis-deployment", "spec.template.spec.containers[airis].resources.limits[ephemeral-storage]"
    ),
    Addition(ALL, "StatefulSet/ollama", "spec.template.spec.containers[ollama].resources.requests[ephemeral-storage]"),
    Addition(ALL, "StatefulSet/ollama", "spec.template.spec.containers[ollama].resources.limits[ephemeral-storage]"),
    Addition(ALL, "Deployment/airis-deployment", "spec.template.spec.containers[airis].ports[8080].name"),
    Addition(ALL, "Service/airis-service", "spec.ports[8080].name"),
    Addition(ALL, "Service/ollama-service", "spec.ports[11434].name"),
    Addition(ALL, "StatefulSet/ollama", "spec.persistentVolumeClaimRetentionPolicy"),
    Addition(ALL, "StatefulSet/ollama", "spec.template.spec.containers[ollama].ports[11434].name"),
    Addition(ALL, "Deployment/airis-deployment", "spec.template.spec.containers[airis].env[OMP_NUM_THREADS]"),
    Addition(ALL, "Deployment/airis-deployment", "spec.template.spec.containers[airis].env[MALLOC_ARENA_MAX]"),
    Addition(ALL, "Deployment/airis-deployment", "spec.template.spec.containers[airis].env[MALLOC_MMAP_THRESHOLD_]"),
    Addition(ALL, "StatefulSet/ollama", "spec.template.spec.containers[ollama].env[LLAMA_ARG_THREADS]"),
    Addition(ALL, "StatefulSet/ollama", "spec.template.spec.containers[ollama].env[LLAMA_ARG_CACHE_RAM]"),
    Addition("cpu", "StatefulSet/ollama", "spec.template.spec.containers[ollama].env[NVIDIA_VISIBLE_DEVICES]"),
    Addition("gpu", "StatefulSet/ollama", "spec.template.spec.tolerations"),
]
