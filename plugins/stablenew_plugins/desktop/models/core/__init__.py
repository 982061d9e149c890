"""What all view-models stand on: the desk, the connection, what the kernel told, messages, keys."""
