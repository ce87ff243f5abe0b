"""Settings of stacks with many keys, for the tests of their effects in the application."""

from collections.abc import Mapping
from typing import Any

from tests.app.rendered import key

OWN = "http://ollama-service.airis.svc.cluster.local:11434"
GPU_BOX = "http://gpu.example.com:11434"
DISCOVERY = "https://id.example.com/realms/a/.well-known/openid-configuration"


AUTH = {
    "signUp": False,
    "defaultRole": "user",
    "loginForm": True,
    "passwordAuth": True,
    "jwtExpiresIn": "1w2d",
    "firstAdmin": {"email": "admin@example.com", "name": "Ada Lovelace", "passwordFrom": key("admin")},
    "trustedHeader": {"email": "X-Email", "name": "X-Name", "groups": "X-Groups", "role": "X-Role"},
    "oauth": {
        "signUp": True,
        "mergeAccountsByEmail": True,
        "allowedDomains": ["example.com", "example.org"],
        "emailClaim": "mail",
        "usernameClaim": "display_name",
        "pictureClaim": "photo",
        "subClaim": "oid",
        "updateNameOnLogin": True,
        "updateEmailOnLogin": True,
        "updatePictureOnLogin": True,
        "endSessionEndpoint": "https://id.example.com/logout",
        "oidc": {
            "providerUrl": DISCOVERY,
            "clientId": "airis",
            "clientSecretFrom": key("oidc"),
            "codeChallengeMethod": "S256",
            "tokenEndpointAuthMethod": "client_secret_post",
            "providerName": "Example",
            "scopes": ["openid", "email", "groups"],
            "redirectUri": "https://chat.example.com/oauth/oidc/login/callback",
        },
        "google": {
            "clientId": "g",
            "clientSecretFrom": key("google"),
            "scopes": ["openid", "email"],
            "redirectUri": "https://chat.example.com/oauth/google/login/callback",
        },
        "microsoft": {
            "clientId": "m",
            "clientSecretFrom": key("microsoft"),
            "tenantId": "example.com",
            "loginBaseUrl": "https://login.microsoftonline.us",
            "scopes": ["openid", "offline_access"],
            "redirectUri": "https://chat.example.com/oauth/microsoft/login/callback",
        },
        "github": {
            "clientId": "h",
            "clientSecretFrom": key("github"),
            "redirectUri": "https://chat.example.com/oauth/github/login/callback",
        },
        "roles": {
            "claim": "realm_access.roles",
            "admin": ["ops"],
            "allowed": ["staff, all", "guests"],
            "separator": "|",
        },
        "groups": {"claim": "teams", "create": True, "blocked": ["all-*", "böse"], "separator": ","},
    },
    "ldap": {
        "host": "ldap.example.com",
        "label": "Directory",
        "appDn": "cn=airis,dc=example,dc=com",
        "passwordFrom": key("ldap"),
        "searchBase": "ou=people,dc=example,dc=com",
        "searchFilter": "(&(objectClass=person)(!(disabled=1)))",
        "usernameAttribute": "sAMAccountName",
        "mailAttribute": "userPrincipalName",
        "defaultEmailDomain": "example.com",
        "caFile": "/certs/ldap.pem",
        "groups": {"attribute": "groups", "create": True},
    },
}
CONNECTIONS = {
    "ollamaUrls": [GPU_BOX],
    "openai": [
        {"url": "https://a.example.com/v1", "keyFrom": key("a")},
        {"url": "http://vllm:8000/v1", "models": ["x", "ä"], "prefix": "vllm"},
        {"url": "https://c.example.com/v1", "keyFrom": key("c")},
    ],
    "pipelines": {"url": "http://pipelines:9099", "keyFrom": key("pipelines")},
    "contentExtraction": {"engine": "tika", "url": "http://tika.example.com:9998"},
    "embeddings": {"engine": "ollama", "model": "nomic-embed-text", "batchSize": 8},
    "reranking": {
        "url": "http://rerank:8000/v1/rerank",
        "model": "reranker",
        "keyFrom": key("rerank"),
        "timeoutSeconds": 5,
    },
    "speechToText": {"engine": "openai", "url": "http://whisper:8000/v1", "model": "whisper-1", "keyFrom": key("stt")},
    "textToSpeech": {"engine": "elevenlabs", "model": "m", "voice": "v", "keyFrom": key("tts")},
}
OTHERS = {
    "openai": [{"url": "http://vllm:8000/v1"}],
    "contentExtraction": {"engine": "docling", "url": "http://docling:5001", "keyFrom": key("docling")},
    "embeddings": {
        "engine": "azure_openai",
        "model": "m",
        "url": "https://a.openai.azure.com",
        "keyFrom": key("azure"),
        "apiVersion": "2024-10-21",
    },
    "speechToText": {"engine": "azure", "region": "westeurope", "keyFrom": key("stt")},
    "textToSpeech": {"engine": "openai", "url": "http://tts:8000/v1"},
}

NOTHING: Mapping[str, Any] = {
    "ollama": {"enabled": False},
    "webui": {
        "auth": {
            "loginForm": False,
            "passwordAuth": False,
            "jwtExpiresIn": "-1",
            "oauth": {"github": {"clientId": "h", "clientSecretFrom": key("github")}},
        },
        "connections": {"openai": []},
        "enablePersistentConfig": False,
    },
}
