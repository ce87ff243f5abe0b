"""`airis:webui`: the front end, and the servers that it works with."""
