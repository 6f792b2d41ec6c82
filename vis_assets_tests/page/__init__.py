"""Tests of vis_assets.page."""
