"""The rules for every stack. `airis check` applies them, and Pulumi, as a policy pack."""
