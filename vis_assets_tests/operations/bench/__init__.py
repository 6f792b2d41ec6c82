"""Tests of what `vis-assets bench` runs."""
