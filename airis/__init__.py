"""The `airis` command: render, rehearse and deploy a stack.

It runs `__main__.py` as it stands and reads the same stack files as `pulumi up`; nothing in the program, in
`components/` or in `settings/` knows that it exists.
"""
