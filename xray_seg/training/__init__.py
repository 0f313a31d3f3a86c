"""Training of networks: configuration, data loading, the loop and publishing of weights."""
