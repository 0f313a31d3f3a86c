"""Measurements of label maps, and estimated quality of segmentations."""
