"""Deploys with the Pulumi engine: `airis up`, `preview`, `refresh`, `destroy` and `open`."""
