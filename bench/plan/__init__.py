"""From a table's YAML to checked runs: what is done, what is stale, what would start, what it would cost."""
