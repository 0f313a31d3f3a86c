"""Networks, losses, model folders and inference engines."""
