"""Dagster's runs, as delivery needs them (`delivery.reconcile.Runs`)."""

import logging
import time

from dagster import DagsterError, DagsterInstance, DagsterRunStatus, RunRecord, RunsFilter

from vis_assets.delivery import ledger
from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.decide import RunPhase, RunView
from vis_assets.delivery.vigil import Vigil
from vis_assets.sensors.ended_runs import STATUS_OF, describe

RUN_KEY = "dagster/run_key"
_log = logging.getLogger(__name__)
WAITING = {DagsterRunStatus.QUEUED, DagsterRunStatus.MANAGED}


class DagsterRuns:
    """Looks runs up by their keys, with the leases that their processes renew."""

    def __init__(self, instance: DagsterInstance, connection: NatsConnection, vigil: Vigil) -> None:
        """Look into this instance, and into the leases behind this connection."""
        self._instance = instance
        self._connection = connection
        self._vigil = vigil

    def view(self, run_key: str) -> RunView | None:
        """See delivery.reconcile.Runs."""
        # Re-executions copy the key; the run that was asked for is the oldest.
        records = self._instance.get_run_records(RunsFilter(tags={RUN_KEY: run_key}), limit=1, ascending=True)
        if not records or records[0].dagster_run.parent_run_id is not None:
            return None
        # A run that was only created is asked for once more: Dagster then submits it.
        only_created = records[0].dagster_run.status is DagsterRunStatus.NOT_STARTED
        return None if only_created else self._view(records[0])

    def stop(self, run_id: str) -> None:
        """See delivery.reconcile.Runs; a process that does not listen is killed by its lease keeper."""
        try:
            self._instance.run_coordinator.cancel_run(run_id)
        except DagsterError as error:
            _log.warning("Dagster cannot stop run %s: %s", run_id, error)

    def declare_lost(self, run_id: str) -> None:
        """See delivery.reconcile.Runs."""
        run = self._instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            self._instance.report_run_failed(run, message="The process of the run vanished: its lease was not renewed.")

    def _view(self, record: RunRecord) -> RunView:
        run = record.dagster_run
        lease = self._lease(run.run_id)
        if run.status in STATUS_OF:
            ended = describe(self._instance, run.run_id, timed_out=lease is not None and lease.timed_out)
            return RunView(run.run_id, RunPhase.ENDED, ended=ended)
        if run.status in WAITING:
            return RunView(run.run_id, RunPhase.QUEUED)
        return RunView(
            run.run_id,
            RunPhase.ACTIVE,
            silent_seconds=self._silence(record, lease),
            canceling=run.status is DagsterRunStatus.CANCELING,
            timed_out=lease is not None and lease.timed_out,
        )

    def _silence(self, record: RunRecord, lease: ledger.Lease | None) -> float:
        since = lease.renewed if lease is not None else record.update_timestamp.timestamp()
        return self._vigil.silence(since, time.time())

    def _lease(self, run_id: str) -> ledger.Lease | None:
        return self._connection.run(lambda c: ledger.read_lease(c, run_id))
