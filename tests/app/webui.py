"""The environment variables of Open WebUI's image, and what its Python package needs beyond them."""

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
"""The image's own variables, which the pod's override. Source: open-webui/open-webui, Dockerfile."""

PACKAGE_ENV = {"FROM_INIT_PY": "true"}
"""The package has frontend and version inside, the image has them beside the backend (open_webui/env.py)."""

OFFLINE_ENV = {"HF_HUB_OFFLINE": "1"}
"""The one thing that these tests need beyond the rendering: without a network, the download of the embedding model is tried
for a minute before the application starts without it. With this it is given up at once."""
