"""Networks, losses, model folders and the engines that run them."""
