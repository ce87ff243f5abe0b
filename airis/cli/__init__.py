"""The command line: options, help and exit codes of each command. The other packages implement the commands."""
