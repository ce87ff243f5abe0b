"""What every stack must keep: rules that `airis check` and, as a policy pack, Pulumi itself apply."""
