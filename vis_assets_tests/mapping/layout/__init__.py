"""Tests of vis_assets.mapping.layout."""
