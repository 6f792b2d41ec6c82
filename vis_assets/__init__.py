"""vis_assets: a Qdrant collection becomes an interactive, named 2-D topic map, as a Dagster asset graph."""
