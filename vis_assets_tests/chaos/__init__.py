"""Chaos: real servers, real runs, and processes that die, stop and lose their connections at every step."""
