"""Types of settings: names, quantities, references, releases, and the base of every model."""
