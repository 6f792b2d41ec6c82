"""The graph that does nothing."""

from vis_assets.operations.bench.noop_graph import JOB, defs


def test_the_job_runs() -> None:
    """The stock job loads beside Dagster's own asset job, and succeeds."""
    result = defs.resolve_job_def(JOB).execute_in_process()
    assert result.success
    assert result.asset_materializations_for_node("no_operation")
