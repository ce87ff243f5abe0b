"""Invalid values of a stack file, and the error for each."""

from dataclasses import dataclass

import pytest

from settings.exposure.ingress import IngressSettings
from settings.stack import StackSettings
from settings.types.base import Settings
from tests.unit.conftest import Refuse

pytestmark = pytest.mark.timeout(60)


def keys_of(model: type[Settings], close: str = "") -> str:
    """What the refusal of an unknown key lists: the known keys, after the one that is `close`."""
    return f"{did_you_mean(close)} keys here are {', '.join(sorted(str(field.alias) for field in model.model_fields.values()))}"


def did_you_mean(close: str) -> str:
    return f"did you mean `{close}`? The" if close else "the"


def managed(by: str) -> str:
    return f"another name: airis sets this one itself, from {by}"


BYTES = "bytes with a Kubernetes suffix: Ki, Mi, Gi, Ti (powers of 1024) or k, M, G, T (powers of 1000), such as 4Gi"
CPU = "CPU cores such as 2 or 0.5, or millicores such as 500m; more than 0, no finer than 1m"
MAPPING = "keys and values (a mapping)"
LABEL = "a DNS-1123 label: lower-case letters, digits and -, at most 63 characters"
SUBDOMAIN = "a DNS-1123 subdomain: lower-case letters, digits, - and ., at most 253 characters"
HOST = "a host name such as chat.example.com, without scheme, port or path; not an IP address"
LABEL_KEY = (
    "a label key such as nvidia.com/gpu.present: an optional DNS prefix and /, then at most 63 letters, digits, "
    "-, _ or ."
)
IMAGE = "an image reference such as ollama/ollama:0.34.4 or registry.example.com/team/airis@sha256:..."
STACK_KEYS = keys_of(StackSettings)
GPU_LABEL = "a label that CPU nodes have: these pods request no GPU (set airis:ollama.gpu for one)"
IN_QUOTES = "text in quotes: without them, YAML reads a number"
IN_PLAIN_TEXT = "no credential in plain text: put it into a Secret, and reference it in secretEnv"
CIDR = "an address range such as 10.0.0.0/8, without host bits"
POD_SECURITY = "one of 'restricted', 'baseline' or 'privileged'"
WEBUI_RELEASE = "ghcr.io/airis/airis:1.2.3"


def reference_or(secret: str) -> str:
    return f"a reference to an existing Secret, or set airis:secrets.{secret} (encrypted)"


@dataclass(frozen=True)
class Refusal:
    config: str
    """The line of the stack file."""
    key: str
    given: str
    allowed: str


UNKNOWN_KEYS = [
    Refusal("airis:ollma: {}", "airis:ollma", "{}", keys_of(StackSettings, "ollama")),
    Refusal("airis:tls: true", "airis:tls", "true", STACK_KEYS),
    Refusal(
        "airis:ingress: {hots: a.example.com}",
        "airis:ingress.hots",
        '"a.example.com"',
        keys_of(IngressSettings, "hosts"),
    ),
    Refusal(
        "airis:webui: {resources: {limits: {memry: 2Gi}}}",
        "airis:webui.resources.limits.memry",
        '"2Gi"',
        "did you mean `memory`? The keys here are cpu, ephemeralStorage, memory",
    ),
    Refusal(
        "airis:webui: {tolerations: [{key: a}, {key: b, efect: NoSchedule}]}",
        "airis:webui.tolerations[1].efect",
        '"NoSchedule"',
        "did you mean `effect`? The keys here are effect, key, operator, tolerationSeconds, value",
    ),
    Refusal(
        "airis:webui: {storage: {storage_class: fast}}",
        "airis:webui.storage.storage_class",
        '"fast"',
        "did you mean `storageClass`? The keys here are accessMode, existingClaim, size, storageClass",
    ),
    Refusal(
        "airis:webui: {secretEnv: {name: {name: a, key: b, kee: c}}}",
        "airis:webui.secretEnv.name.kee",
        "[not shown]",
        "did you mean `key`? The keys here are key, name",
    ),
]

WRONG_TYPES = [
    Refusal("airis:webui: 5", "airis:webui", "5", MAPPING),
    Refusal("airis:webui:", "airis:webui", "null", MAPPING),
    Refusal("airis:ingress: airis.example.com", "airis:ingress", '"airis.example.com"', MAPPING),
    Refusal("airis:ollama: {gpu: true}", "airis:ollama.gpu", "true", MAPPING),
    Refusal("airis:imagePullSecrets: regcred", "airis:imagePullSecrets", '"regcred"', "a list"),
    Refusal("airis:webui: {tolerations: {key: a}}", "airis:webui.tolerations", '{"key": "a"}', "a list"),
    Refusal("airis:webui: {replicas: '1'}", "airis:webui.replicas", '"1"', "a whole number"),
    Refusal("airis:webui: {replicas: 1.5}", "airis:webui.replicas", "1.5", "a whole number"),
    Refusal("airis:webui: {replicas: -0b11}", "airis:webui.replicas", "-0b11", "a whole number, at least 0"),
    Refusal("airis:webui: {replicas: -1}", "airis:webui.replicas", "-1", "a whole number, at least 0"),
    *(
        Refusal(f"airis:{key}", f"airis:{path}", written, f'text: {written} is a {kind} in YAML: write "{written}"')
        for key, path, written, kind in [
            ("ingress: {host: 5}", "ingress.host", "5", "number"),
            ("ingress: {host: 1234e56}", "ingress.host", "1234e56", "number"),
            ("ingress: {host: 2026-01-01}", "ingress.host", "2026-01-01", "date"),
            ("ollama: {models: [0o14]}", "ollama.models[0]", "0o14", "number"),
            ("ollama: {gpu: {nodeLabels: {gpu: True}}}", "ollama.gpu.nodeLabels.gpu", "True", "Boolean"),
            ("namespace: 1e3", "namespace", "1e3", "number"),
            ("namespace: 2026-01-01", "namespace", "2026-01-01", "date"),
            ("namespace: False", "namespace", "False", "Boolean"),
            ("labels: {build: 08}", "labels.build", "08", "number"),
        ]
    ),
    Refusal(
        "airis:webui: {service: {type: nodeport}}",
        "airis:webui.service.type",
        '"nodeport"',
        "one of 'ClusterIP', 'NodePort' or 'LoadBalancer'",
    ),
    Refusal(
        "airis:ollama: {nodeAffinity: [{operator: Exists}]}",
        "airis:ollama.nodeAffinity[0].key",
        "nothing",
        "a value: this key is required",
    ),
    Refusal("airis:namespace:", "airis:namespace", "null", "text: a key without a value is null in YAML"),
    Refusal(
        "airis:webui: {image: ~}",
        "airis:webui.image",
        "~",
        'text: ~ is null in YAML: write "~" for the text',
    ),
]

GPU_COUNTS = [
    Refusal(f"airis:ollama: {{gpu: {{count: {written}}}}}", "airis:ollama.gpu.count", given, allowed)
    for written, given, allowed in [
        ("0", "0", "a whole number, at least 1"),
        ("-1", "-1", "a whole number, at least 1"),
        ("0.5", "0.5", "a whole number"),
        ("true", "true", "a whole number"),
        ("'1'", '"1"', "a whole number"),
        ("null", "null", "a whole number"),
    ]
]

QUANTITIES = [
    *(
        Refusal(f"airis:webui: {{storage: {{size: {written}}}}}", "airis:webui.storage.size", given, BYTES + hint)
        for written, given, hint in [
            ("10 gigs", '"10 gigs"', ""),
            ("4GB", '"4GB"', " (did you mean 4G?)"),
            ("4GiB", '"4GiB"', " (did you mean 4Gi?)"),
            ("4gi", '"4gi"', " (did you mean 4Gi?)"),
            ("512m", '"512m"', " (m means thousandths; did you mean 512M or 512Mi?)"),
            ("-1Gi", '"-1Gi"', ""),
            ("0", "0", ""),
            ("''", '""', ""),
            ("16Ei", '"16Ei"', ""),
        ]
    ),
    Refusal(
        "airis:webui: {storage: {size: true}}",
        "airis:webui.storage.size",
        "true",
        "a Kubernetes quantity: a number, or text such as 500m or 4Gi",
    ),
    *(
        Refusal(
            f"airis:ollama: {{resources: {{requests: {{cpu: {written}}}}}}}",
            "airis:ollama.resources.requests.cpu",
            given,
            CPU,
        )
        for written, given in [
            ("2 cores", '"2 cores"'),
            ("1Gi", '"1Gi"'),
            ("0.0005", "0.0005"),
            ("0", "0"),
            ("-1", "-1"),
        ]
    ),
]

ABOVE_LIMIT = [
    Refusal(
        "airis:webui: {resources: {requests: {cpu: 1001m}}}",
        "airis:webui.resources.requests.cpu",
        '"1001m"',
        "at most the limit, limits.cpu = 1",
    ),
    Refusal(
        "airis:webui: {resources: {limits: {memory: 100Mi}}}",
        "airis:webui.resources.requests.memory",
        '"1Gi" (the default)',
        "at most the limit, limits.memory = 100Mi",
    ),
    Refusal(
        "airis:ollama: {resources: {requests: {ephemeralStorage: 2Gi}, limits: {ephemeralStorage: 2000M}}}",
        "airis:ollama.resources.requests.ephemeralStorage",
        '"2Gi"',
        "at most the limit, limits.ephemeralStorage = 2G",
    ),
]

NAMES = [
    *(
        Refusal(f"airis:ingress: {{host: '{host}'}}", "airis:ingress.host", f'"{host}"', HOST)
        for host in (
            "https://a.example.com",
            "a.example.com:80",
            "a.example.com/x",
            "a..b",
            "-a.b",
            "a_b",
            "",
            "10.0.0.1",
        )
    ),
    *(
        Refusal(f"airis:namespace: '{name}'", "airis:namespace", f'"{name}"', LABEL)
        for name in ("Airis", "airis_dev", "a.b", "-a", "a-", "", "a" * 64)
    ),
    Refusal("airis:clusterDomain: cluster_local", "airis:clusterDomain", '"cluster_local"', SUBDOMAIN),
    Refusal("airis:imagePullSecrets: [ok, Not_Ok]", "airis:imagePullSecrets[1]", '"Not_Ok"', SUBDOMAIN),
    Refusal("airis:webui: {storage: {storageClass: ''}}", "airis:webui.storage.storageClass", '""', SUBDOMAIN),
    Refusal("airis:ollama: {gpu: {taint: a b}}", "airis:ollama.gpu.taint", '"a b"', LABEL_KEY),
    Refusal("airis:ollama: {gpu: {nodeLabels: {a b: x}}}", "airis:ollama.gpu.nodeLabels.a b", '"a b"', LABEL_KEY),
    Refusal(
        "airis:ollama: {gpu: {nodeLabels: {pool: -x}}}",
        "airis:ollama.gpu.nodeLabels.pool",
        '"-x"',
        "a label value: at most 63 letters, digits, -, _ or ., beginning and ending with a letter or digit",
    ),
    Refusal(
        "airis:ollama: {gpu: {resourceName: gpu}}",
        "airis:ollama.gpu.resourceName",
        '"gpu"',
        "an extended resource such as nvidia.com/gpu: a DNS name, / and a name",
    ),
    *(
        Refusal(f"airis:webui: {{image: '{image}'}}", "airis:webui.image", f'"{image}"', IMAGE)
        for image in ("", " ", "Airis", "airis:", "airis:a b", "https://ghcr.io/airis", "airis@sha256:abc", "a" * 513)
    ),
]

ENVIRONMENT = [
    Refusal(
        "airis:webui: {env: {OLLAMA_BASE_URL: 'http://x'}}",
        "airis:webui.env.OLLAMA_BASE_URL",
        "[not shown]",
        managed("Ollama's Service"),
    ),
    Refusal(
        "airis:webui: {env: {OLLAMA_BASE_URLS: 'http://x'}}",
        "airis:webui.env.OLLAMA_BASE_URLS",
        "[not shown]",
        managed("Ollama's Service"),
    ),
    *(
        Refusal(
            f"airis:ollama: {{gpu: {gpu}, env: {{NVIDIA_VISIBLE_DEVICES: all}}}}",
            "airis:ollama.env.NVIDIA_VISIBLE_DEVICES",
            "[not shown]",
            managed("airis:ollama.gpu"),
        )
        for gpu in ("null", "{}")
    ),
    Refusal("airis:webui: {env: {DEBUG: 1}}", "airis:webui.env.DEBUG", "[not shown]", IN_QUOTES),
    Refusal(
        "airis:webui: {env: {1A: x}}",
        "airis:webui.env.1A",
        "[not shown]",
        "an environment variable's name: letters, digits and _, no leading digit",
    ),
    Refusal("airis:webui: {env: [{name: A, value: x}]}", "airis:webui.env", "[not shown]", MAPPING),
]

RULES = [
    Refusal("airis:imagePullSecrets: [a, b, a]", "airis:imagePullSecrets[2]", '"a"', "each Secret once"),
    *(
        Refusal(
            f"airis:webui: {{nodeAffinity: [{{key: nvidia.com/gpu.count, operator: Exists}}]}}\nairis:ollama: {{gpu: {gpu}}}",
            "airis:webui.nodeAffinity[0].key",
            '"nvidia.com/gpu.count"',
            GPU_LABEL,
        )
        for gpu in ("null", "{}")
    ),
    *(
        Refusal(
            f"airis:ollama: {{nodeAffinity: [{{key: disk, operator: Exists}}, {{key: {key}, {condition}}}]}}",
            "airis:ollama.nodeAffinity[1].key",
            f'"{key}"',
            GPU_LABEL,
        )
        for key, condition in [
            ("nvidia.com/gpu.present", "values: ['true']"),
            ("nvidia.com/gpu.product", "operator: Exists"),
            ("amd.com/gpu.family", "operator: Exists"),
            ("cloud.google.com/gke-accelerator", "values: [nvidia-l4]"),
        ]
    ),
    Refusal("airis:ingress: {className: nginx}", "airis:ingress.className", '"nginx"', "only together with a host"),
    Refusal(
        "airis:webui: {service: {nodePort: 30080}}",
        "airis:webui.service.nodePort",
        "30080",
        "only with type NodePort or LoadBalancer",
    ),
    Refusal(
        "airis:webui: {service: {type: NodePort, nodePort: 80}}",
        "airis:webui.service.nodePort",
        "80",
        "a whole number, at least 30000",
    ),
    Refusal(
        "airis:webui: {nodeAffinity: [{key: disk}]}",
        "airis:webui.nodeAffinity[0].values",
        "[] (the default)",
        "at least one value with operator In",
    ),
    Refusal(
        "airis:webui: {nodeAffinity: [{key: disk, operator: Exists, values: [ssd]}]}",
        "airis:webui.nodeAffinity[0].values",
        '["ssd"]',
        "no values with operator Exists",
    ),
    Refusal(
        "airis:webui: {nodeAffinity: [{key: cores, operator: Gt, values: [many]}]}",
        "airis:webui.nodeAffinity[0].values",
        '["many"]',
        "one whole number with operator Gt",
    ),
    Refusal(
        "airis:webui: {tolerations: [{operator: Equal, value: a}]}",
        "airis:webui.tolerations[0].key",
        "null (the default)",
        "a key, or operator Exists",
    ),
    Refusal(
        "airis:webui: {tolerations: [{key: a, value: b}]}",
        "airis:webui.tolerations[0].value",
        '"b"',
        "no value with operator Exists",
    ),
    Refusal(
        "airis:webui: {tolerations: [{key: a, effect: NoSchedule, tolerationSeconds: 5}]}",
        "airis:webui.tolerations[0].tolerationSeconds",
        "5",
        "only with effect NoExecute",
    ),
]


POSTGRES = "database: {urlFrom: {name: a, key: b}}"
REDIS = "redis: {urlFrom: {name: a, key: b}}"
S3 = "objectStorage: {bucket: files, accessKeyIdFrom: {name: a, key: b}, secretAccessKeyFrom: {name: a, key: c}}"
PGVECTOR = "vectorStore: pgvector"
SHARED = "storage: {accessMode: ReadWriteMany}"
NEEDED = {
    POSTGRES: "database (PostgreSQL)",
    REDIS: "redis",
    SHARED: "objectStorage, or storage.accessMode ReadWriteMany (the volume is now limited to one node)",
    PGVECTOR: "vectorStore pgvector, or another server",
}
"""Requirements of several pods, and the text of the error if one is missing."""

SEVERAL_PODS = [
    Refusal(f"airis:webui: {{{config}}}", f"airis:webui.{key}", given, f"{allowed}, or also set {'; '.join(missing)}")
    for key, written, given, allowed in [
        ("replicas", "replicas: 2", "2", "at most 1"),
        ("rollingUpdates", "rollingUpdates: true", "true", "false"),
    ]
    for config, missing in [
        (written, list(NEEDED.values())),
        (f"{written}, storage: {{accessMode: ReadWriteOncePod}}", list(NEEDED.values())),
        (f"{written}, {SHARED}", [words for each, words in NEEDED.items() if each != SHARED]),
        # pgvector requires the database, which is a separate error
        *(
            (", ".join([written, *(each for each in NEEDED if each != left_out)]), [NEEDED[left_out]])
            for left_out in (REDIS, SHARED, PGVECTOR)
        ),
    ]
]

DATA = [
    Refusal(
        f"airis:webui: {{{S3}, {POSTGRES}}}",
        "airis:webui.vectorStore",
        '"chroma" (the default)',
        "pgvector or another server, because objectStorage leaves no volume for chroma's files",
    ),
    Refusal(
        f"airis:webui: {{{S3}, {POSTGRES}, {PGVECTOR}, storage: {{existingClaim: chats}}}}",
        "airis:webui.storage.existingClaim",
        '"chats"',
        "null, because objectStorage replaces the volume",
    ),
    Refusal(f"airis:webui: {{{PGVECTOR}}}", "airis:webui.vectorStore", '"pgvector"', "chroma, or also set database"),
    Refusal(
        "airis:ollama: {replicas: 2, storage: {existingClaim: models}}",
        "airis:ollama.replicas",
        "2",
        "at most 1, because storage.existingClaim is one claim, and each pod needs its own",
    ),
]

PRODUCTION = [
    Refusal(
        f"airis:production: true\nairis:webui: {{image: {WEBUI_RELEASE}}}\nairis:ollama: {{image: '{image}'}}",
        "airis:ollama.image",
        f'"{image}"',
        "a release or a digest, because this stack is production",
    )
    for image in (
        "ollama/ollama",
        "ollama/ollama:latest",
        "ollama/ollama:0.17",
        "ollama/ollama:main",
        "localhost:5000/ollama",
        "ollama/ollama:git-abc",
    )
] + [
    Refusal("airis:production: 'yes'", "airis:production", '"yes"', "true or false"),
]

CREDENTIALS = [
    *(
        Refusal(f"airis:webui: {{env: {{{name}: plain}}}}", f"airis:webui.env.{name}", "[not shown]", IN_PLAIN_TEXT)
        for name in (
            "OPENAI_API_KEY",
            "FIRECRAWL_API_KEYS",
            "FEISHU_CLIENT_SECRET",
            "SMTP_PASSWORD",
            "HF_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "LANGFUSE_SECRET_KEY",
            "OAUTH_SESSION_TOKEN_ENCRYPTION_KEY",
            "VERTEX_CREDENTIALS_JSON",
        )
    ),
    Refusal(
        "airis:ollama: {env: {HF_ENDPOINT: 'http://user:hunter2@proxy:3128'}}",
        "airis:ollama.env.HF_ENDPOINT",
        "[not shown]",
        IN_PLAIN_TEXT,
    ),
    Refusal(
        "airis:webui: {env: {GREETING: a}, secretEnv: {GREETING: {name: a, key: b}}}",
        "airis:webui.env.GREETING",
        "[not shown]",
        "each name once: it is also in secretEnv",
    ),
    *(
        Refusal(
            f"airis:{workload}: {{secretEnv: {{{name}: {{name: a, key: b}}}}}}",
            f"airis:{workload}.secretEnv.{name}",
            "[not shown]",
            managed(by),
        )
        for workload, name, by in [
            ("webui", "WEBUI_SECRET_KEY", "airis:webui.sessionKeyFrom"),
            ("webui", "DATABASE_URL", "airis:webui.database.urlFrom"),
            ("webui", "REDIS_URL", "airis:webui.redis.urlFrom"),
            ("webui", "WEBSOCKET_REDIS_URL", "airis:webui.redis.urlFrom"),
            ("webui", "S3_SECRET_ACCESS_KEY", "airis:webui.objectStorage.secretAccessKeyFrom"),
            ("webui", "STORAGE_PROVIDER", "airis:webui.objectStorage"),
            ("webui", "HTTPS_PROXY", "airis:proxy"),
            ("ollama", "HOME", "airis:podSecurity"),
            ("ollama", "OLLAMA_MODELS", "HOME"),
        ]
    ),
    Refusal(
        "airis:webui: {secretEnv: {API_KEY: {name: a}}}",
        "airis:webui.secretEnv.API_KEY.key",
        "nothing",
        "a value: this key is required",
    ),
    Refusal("airis:webui: {secretEnv: {API_KEY: hunter2}}", "airis:webui.secretEnv.API_KEY", "[not shown]", MAPPING),
    Refusal(
        "airis:webui: {sessionKeyFrom: {name: A_b, key: c}}", "airis:webui.sessionKeyFrom.name", '"A_b"', SUBDOMAIN
    ),
    *(
        Refusal(f"airis:webui: {{{config}}}", f"airis:webui.{key}", "null (the default)", reference_or(secret))
        for config, key, secret in [
            ("database: {}", "database.urlFrom", "databaseUrl"),
            ("redis: {}", "redis.urlFrom", "redisUrl"),
            (
                f"{POSTGRES}, {PGVECTOR}, objectStorage: {{bucket: files, secretAccessKeyFrom: {{name: a, key: b}}}}",
                "objectStorage.accessKeyIdFrom",
                "s3AccessKeyId",
            ),
            (
                f"{POSTGRES}, {PGVECTOR}, objectStorage: {{bucket: files, accessKeyIdFrom: {{name: a, key: b}}}}",
                "objectStorage.secretAccessKeyFrom",
                "s3SecretAccessKey",
            ),
        ]
    ),
    *(
        Refusal(
            f"airis:webui: {{{config}}}\nairis:secrets: {{{secret}: {{secure: v1:abc}}}}",
            f"airis:webui.{key}",
            '{"name": "a"}',
            f"one of this and airis:secrets.{secret}, not both",
        )
        for config, key, secret in [
            (POSTGRES, "database.urlFrom", "databaseUrl"),
            (REDIS, "redis.urlFrom", "redisUrl"),
            (f"{POSTGRES}, {PGVECTOR}, {S3}", "objectStorage.accessKeyIdFrom", "s3AccessKeyId"),
            (f"{POSTGRES}, {PGVECTOR}, {S3}", "objectStorage.secretAccessKeyFrom", "s3SecretAccessKey"),
            ("sessionKeyFrom: {name: a, key: b}", "sessionKeyFrom", "sessionKey"),
        ]
    ),
    *(
        Refusal(
            f"airis:secrets: {{{secret}: {{secure: v1:abc}}}}",
            f"airis:secrets.{secret}",
            "[secret]",
            f"only together with airis:{section}",
        )
        for secret, section in [
            ("databaseUrl", "webui.database"),
            ("redisUrl", "webui.redis"),
            ("s3AccessKeyId", "webui.objectStorage"),
            ("s3SecretAccessKey", "webui.objectStorage"),
        ]
    ),
    Refusal("airis:secrets: hunter2", "airis:secrets", "[not shown]", MAPPING),
]

NETWORK = [
    Refusal(f"airis:network: {{{key}: ['{given}']}}", f"airis:network.{key}[0]", f'"{given}"', CIDR)
    for key in ("webuiFrom", "egressTo")
    for given in ("10.0.0.1/8", "10.0.0.0/33", "example.com")
] + [
    Refusal("airis:network: {ingressNamespaces: [A]}", "airis:network.ingressNamespaces[0]", '"A"', LABEL),
    Refusal("airis:network: {policies: 'no'}", "airis:network.policies", '"no"', "true or false"),
    Refusal("airis:podSecurity: strict", "airis:podSecurity", '"strict"', POD_SECURITY),
    Refusal(
        "airis:webui: {probes: {startup: {periodSeconds: 0}}}",
        "airis:webui.probes.startup.periodSeconds",
        "0",
        "a whole number, at least 1",
    ),
    Refusal("airis:ollama: {priorityClass: High}", "airis:ollama.priorityClass", '"High"', SUBDOMAIN),
]


@pytest.mark.parametrize(
    "case",
    [
        *(*UNKNOWN_KEYS, *WRONG_TYPES, *GPU_COUNTS, *QUANTITIES, *ABOVE_LIMIT, *NAMES, *ENVIRONMENT, *RULES),
        *(*SEVERAL_PODS, *DATA, *PRODUCTION, *CREDENTIALS, *NETWORK),
    ],
    ids=lambda case: case.config[:90],
)
def test_refusals_name_file_key_value_and_what_is_allowed(case: Refusal, refuse: Refuse) -> None:
    assert refuse(case.config) == (
        "Pulumi.test.yaml: 1 setting is wrong. Nothing was changed.\n"
        f"  {case.key}\n"
        f"    given    {case.given}\n"
        f"    allowed  {case.allowed}"
    )
