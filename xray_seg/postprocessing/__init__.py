"""From class probabilities to a clean label map with laterality."""
