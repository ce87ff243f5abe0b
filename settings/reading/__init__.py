"""Reads YAML files of settings, and locates values in them."""
