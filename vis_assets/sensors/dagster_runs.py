"""Dagster's runs, as delivery needs them (`delivery.reconcile.Runs`)."""

import time

from dagster import DagsterInstance, DagsterRunStatus, RunRecord, RunsFilter

from vis_assets.delivery import ledger
from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.decide import RunPhase, RunView
from vis_assets.sensors.ended_runs import STATUS_OF, describe

RUN_KEY = "dagster/run_key"
WAITING = {DagsterRunStatus.NOT_STARTED, DagsterRunStatus.QUEUED, DagsterRunStatus.MANAGED}


class DagsterRuns:
    """Looks runs up by their keys, with the leases that their processes renew."""

    def __init__(self, instance: DagsterInstance, connection: NatsConnection) -> None:
        """Look into this instance, and into the leases behind this connection."""
        self._instance = instance
        self._connection = connection

    def view(self, run_key: str) -> RunView | None:
        """See delivery.reconcile.Runs."""
        records = self._instance.get_run_records(RunsFilter(tags={RUN_KEY: run_key}), limit=1)
        return self._view(records[0]) if records else None

    def stop(self, run_id: str) -> None:
        """See delivery.reconcile.Runs; a process that does not listen is killed by its lease keeper."""
        self._instance.run_coordinator.cancel_run(run_id)

    def declare_lost(self, run_id: str) -> None:
        """See delivery.reconcile.Runs."""
        run = self._instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            self._instance.report_run_failed(run, message="The process of the run vanished: its lease was not renewed.")

    def _view(self, record: RunRecord) -> RunView:
        run = record.dagster_run
        if run.status in STATUS_OF:
            lease = self._lease(run.run_id)
            ended = describe(self._instance, run.run_id, timed_out=lease is not None and lease.timed_out)
            return RunView(run.run_id, RunPhase.ENDED, ended=ended)
        if run.status in WAITING:
            return RunView(run.run_id, RunPhase.QUEUED)
        return RunView(
            run.run_id,
            RunPhase.ACTIVE,
            silent_seconds=self._silence(record),
            canceling=run.status is DagsterRunStatus.CANCELING,
        )

    def _silence(self, record: RunRecord) -> float:
        lease = self._lease(record.dagster_run.run_id)
        since = lease.renewed if lease is not None else record.update_timestamp.timestamp()
        return max(0.0, time.time() - since)

    def _lease(self, run_id: str) -> ledger.Lease | None:
        return self._connection.run(lambda c: ledger.read_lease(c, run_id))
