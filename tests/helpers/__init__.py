"""Slow references and small cases for tests."""
