"""How a batch is executed: in threads, in processes, on a Ray cluster."""
