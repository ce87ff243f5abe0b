"""Reads and writes stack files, and generates their JSON Schema and their reference."""
