"""Kubernetes' own programs on this machine: downloaded or built, checked, and cached."""
