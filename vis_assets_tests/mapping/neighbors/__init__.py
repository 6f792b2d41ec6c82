"""Tests of vis_assets.mapping.neighbors."""
