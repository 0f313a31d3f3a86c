"""From a radiograph to the network's input."""
