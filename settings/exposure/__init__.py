"""How users reach Open WebUI: its Service, Ingress, Gateway and URL."""
