"""Stack files: reads them, writes them (`airis init`), and generates their JSON Schema and reference documentation."""
