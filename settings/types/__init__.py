"""The types that settings are made of: names, quantities, references, releases, and the base of every model."""
