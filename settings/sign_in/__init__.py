"""`airis:webui.auth`: who may sign in to Open WebUI, and how."""
