"""The doors for results: one sensor for each way a run can end; all of them settle it."""

from dagster import (
    DagsterRunStatus,
    DefaultSensorStatus,
    ResourceParam,
    RunStatusSensorContext,
    RunStatusSensorDefinition,
    run_status_sensor,
)

from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.run_tags import delivery_of
from vis_assets.resources.specs import SpecStore
from vis_assets.sensors.settlement import settle_run
from vis_assets.settings import Settings


def _result_sensor(status: DagsterRunStatus, name: str, what: str) -> RunStatusSensorDefinition:
    @run_status_sensor(
        run_status=status,
        name=name,
        minimum_interval_seconds=1,
        default_status=DefaultSensorStatus.RUNNING,
        description=f"Publishes the result of a job whose run {what}, and acknowledges its message.",
    )
    def publish_result(
        context: RunStatusSensorContext, settings: ResourceParam[Settings], specs: ResourceParam[SpecStore]
    ) -> None:
        run = context.dagster_run
        delivery = delivery_of(run.tags, is_copy=run.parent_run_id is not None)
        if delivery is None or delivery.settled:
            return
        with NatsConnection(settings.nats_url.get_secret_value(), f"vis_assets {name}") as connection:
            settle_run(context.instance, run.run_id, connection, specs, settings.result_subject)

    return publish_result


run_succeeded = _result_sensor(DagsterRunStatus.SUCCESS, "run_succeeded", "succeeded")
run_failed = _result_sensor(DagsterRunStatus.FAILURE, "run_failed", "failed")
run_canceled = _result_sensor(DagsterRunStatus.CANCELED, "run_canceled", "was canceled")
