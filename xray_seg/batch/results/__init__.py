"""Result tables and run-level outputs of a batch."""
