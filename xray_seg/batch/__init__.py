"""Batch runs: from a list of inputs to masks, tables and a report."""
