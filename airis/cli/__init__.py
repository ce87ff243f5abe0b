"""The command line: options and help of each command, one call, an exit code. What a command does is in the other folders."""
