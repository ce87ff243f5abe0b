"""Where Open WebUI keeps its state: database, Redis, object storage, vectors."""
