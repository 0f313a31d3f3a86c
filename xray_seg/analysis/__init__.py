"""Measurements of a label map, and its predicted quality."""
