"""The command line: each command's options, help and exit code. The other packages implement the commands."""
