"""Backs up and restores Open WebUI's data: chats, users, settings, uploads and embeddings."""

from airis.backup.archive import Archive
from airis.backup.operations import backup_stack, restore_stack

__all__ = ["Archive", "backup_stack", "restore_stack"]
