"""Reads YAML and files of settings, and says where in them something stands."""
