"""What travels between server and clients: values, messages, problems. Both sides use it."""
