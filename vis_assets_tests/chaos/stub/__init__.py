"""The stub tier of chaos: thousands of jobs; only Dagster's daemon and what a run computes are not the real ones."""
