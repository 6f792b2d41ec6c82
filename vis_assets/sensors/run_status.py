"""The doors for results: one sensor for each way a run can end; all of them reconcile."""

from dagster import (
    DagsterRunStatus,
    DefaultSensorStatus,
    ResourceParam,
    RunStatusSensorContext,
    RunStatusSensorDefinition,
    run_status_sensor,
)

from vis_assets.delivery.run_tags import delivery_of
from vis_assets.resources.delivered_jobs import DeliveredJobs
from vis_assets.sensors.reconciliation import reconcile, reconciler
from vis_assets.sensors.standing import standing
from vis_assets.settings import Settings


def _result_sensor(status: DagsterRunStatus, name: str, what: str) -> RunStatusSensorDefinition:
    @run_status_sensor(
        run_status=status,
        name=name,
        minimum_interval_seconds=1,
        default_status=DefaultSensorStatus.RUNNING,
        description=f"Settles the job whose run {what}: its result is published, or its next attempt planned.",
    )
    def settle(
        context: RunStatusSensorContext, settings: ResourceParam[Settings], jobs: ResourceParam[DeliveredJobs]
    ) -> None:
        run = context.dagster_run
        if delivery_of(run.tags, is_copy=run.parent_run_id is not None) is not None:
            with reconciler(context.instance, settings, jobs, name) as (worker, connection):
                if standing(connection, settings).leads:
                    reconcile(worker, may_start=False)

    return settle


run_succeeded = _result_sensor(DagsterRunStatus.SUCCESS, "run_succeeded", "succeeded")
run_failed = _result_sensor(DagsterRunStatus.FAILURE, "run_failed", "failed")
run_canceled = _result_sensor(DagsterRunStatus.CANCELED, "run_canceled", "was canceled")
