"""What keeps the project's pins fresh. Nothing here runs in a stack, or is needed by one."""
