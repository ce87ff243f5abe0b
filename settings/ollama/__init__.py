"""`airis:ollama`: the model server, its models and its GPUs."""
