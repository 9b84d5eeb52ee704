"""One file per form in which a report is written."""
