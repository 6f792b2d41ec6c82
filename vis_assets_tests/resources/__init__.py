"""Tests of vis_assets.resources."""
