"""Radiographs with masks: cases, clinical tables and phantoms."""
