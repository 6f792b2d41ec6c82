"""Tests of vis_assets.protocol."""
