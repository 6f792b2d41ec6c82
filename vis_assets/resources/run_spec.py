"""Which spec a run works on: the one its message brought, else the latest of its partition; pinned for the run."""

from typing import Any

from dagster import DagsterInstance, DagsterRun, InputContext, IOManager, OutputContext

from vis_assets.delivery.run_tags import JOB_ID, SPEC
from vis_assets.resources.specs import Spec, SpecStore


class RunSpecs:
    """Finds the spec of a run."""

    def __init__(self, specs: SpecStore) -> None:
        """Read from the spec store."""
        self._specs = specs
        self._pinned: dict[tuple[str, str], Spec] = {}

    def pinned(self, instance: DagsterInstance, run: DagsterRun, partition_key: str) -> Spec:
        """Return the spec of this run and partition, always the same for one run.

        A job that arrives while the run works does not change it: the choice is written to the run's tags.
        """
        key = (run.run_id, partition_key)
        if key not in self._pinned:
            spec = self._specs.load(partition_key, run.tags.get(JOB_ID) or run.tags.get(SPEC))
            if JOB_ID not in run.tags and SPEC not in run.tags:
                instance.add_run_tags(run.run_id, {SPEC: spec.job.job_id})
            self._pinned[key] = spec
        return self._pinned[key]


class RunSpecIOManager(IOManager):
    """Hands `visualization_job` to the assets below it; its stored form is the spec itself, so nothing is written."""

    def __init__(self, run_specs: RunSpecs) -> None:
        """Find specs with `run_specs`."""
        self._run_specs = run_specs

    def handle_output(self, context: OutputContext, obj: Any) -> None:
        """Do nothing: the sensor stored the spec before it asked for the run."""

    def load_input(self, context: InputContext) -> Spec:
        """Return the run's spec."""
        step = context.step_context
        return self._run_specs.pinned(step.instance, step.dagster_run, context.asset_partition_key)
