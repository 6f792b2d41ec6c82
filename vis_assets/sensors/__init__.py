"""The doors: messages in, results out. What to do is decided in `delivery`."""
