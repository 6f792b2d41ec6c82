"""The doors: messages in, results out, and what is old removed. What to do about jobs is decided in `delivery`."""
