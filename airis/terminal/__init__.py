"""What passes between a person and the command: errors, progress, signals, warnings, and files named by options."""
