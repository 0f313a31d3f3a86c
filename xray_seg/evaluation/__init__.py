"""Scores of a model against true masks."""
