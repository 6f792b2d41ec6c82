"""Tests of vis_assets.sensors."""
