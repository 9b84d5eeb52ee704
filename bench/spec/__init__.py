"""What can be written down: tables, runs, claims. Data only; nothing here reads, expands or trains."""
