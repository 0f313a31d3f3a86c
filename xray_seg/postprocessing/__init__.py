"""From class probabilities to a clean label map."""
