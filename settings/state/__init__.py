"""Where Open WebUI stores its state: database, Redis, object storage, vector store."""
