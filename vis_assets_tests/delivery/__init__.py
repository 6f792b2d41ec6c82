"""Tests of vis_assets.delivery."""
