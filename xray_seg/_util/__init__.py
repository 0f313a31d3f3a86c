"""Helpers that know nothing of radiographs: files, threads, TensorFlow, the environment."""
