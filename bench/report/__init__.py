"""From records to tables, plots and verdicts: `build.build_report` once, then any renderer."""
