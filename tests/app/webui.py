"""The environment variables of Open WebUI's image, and those that its Python package needs in addition."""

_MODELS = "/app/backend/data/cache"

IMAGE_ENV = {
    "ENV": "prod",
    "PORT": "8080",
    "OLLAMA_BASE_URL": "/ollama",
    "OPENAI_API_BASE_URL": "",
    "OPENAI_API_KEY": "",
    "WEBUI_SECRET_KEY": "",
    "SCARF_NO_ANALYTICS": "true",
    "DO_NOT_TRACK": "true",
    "ANONYMIZED_TELEMETRY": "false",
    "WHISPER_MODEL": "base",
    "WHISPER_MODEL_DIR": f"{_MODELS}/whisper/models",
    "RAG_EMBEDDING_MODEL": "sentence-transformers/all-MiniLM-L6-v2",
    "SENTENCE_TRANSFORMERS_HOME": f"{_MODELS}/embedding/models",
    "TIKTOKEN_ENCODING_NAME": "cl100k_base",
    "TIKTOKEN_CACHE_DIR": f"{_MODELS}/tiktoken",
    "HF_HOME": f"{_MODELS}/embedding/models",
    "HOME": "/root",
    "DOCKER": "true",
}
"""The image's variables, which those of the pod override. Source: open-webui/open-webui, Dockerfile."""

PACKAGE_ENV = {"FROM_INIT_PY": "true"}
"""The package contains frontend and version, the image has them next to the backend (open_webui/env.py)."""

OFFLINE_ENV = {"HF_HUB_OFFLINE": "1"}
"""The only variable that these tests add: without a network, the application retries the download of the embedding model
for a minute before it starts without it. With this variable, it does not try."""
