"""Tests of vis_assets.assets."""
