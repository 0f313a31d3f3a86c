"""Results of a batch: columns, tables, sinks and run-level outputs."""
