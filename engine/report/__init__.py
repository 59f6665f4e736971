"""One kit for reports: charts, tables and pages that need no network."""
