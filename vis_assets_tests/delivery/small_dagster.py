"""A run ledger in memory, and a store of jobs in a folder: what the reconciler needs, without Dagster."""

from dataclasses import dataclass, field, replace

from vis_assets.delivery.decide import RunPhase, RunView
from vis_assets.delivery.job_record import JobRecord
from vis_assets.delivery.settle import EndedRun
from vis_assets.protocol.result import Status

REPORT = {"html_key": "visualizations/o/7/1.html", "point_count": 3, "cluster_count": 1, "stats": {"warnings": []}}


@dataclass
class SmallDagster:
    """Runs by key; one key makes one run, as in Dagster."""

    runs: dict[str, RunView] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)

    def ask(self, records: list[JobRecord]) -> None:
        """Ask for runs."""
        for record in records:
            self.runs.setdefault(record.run_key, RunView(record.run_key, RunPhase.ACTIVE))

    def end(self, run_key: str, status: Status = Status.COMPLETED, *chain: tuple[str, str]) -> None:
        """Let a run end."""
        report = REPORT if status is Status.COMPLETED else None
        view = RunView(run_key, RunPhase.ENDED, ended=EndedRun(run_key, status, 7, chain, report))
        self.runs[run_key] = view

    def silence(self, run_key: str) -> None:
        """Let the process of a run vanish."""
        self.runs[run_key] = replace(self.runs[run_key], silent_seconds=1e6)

    def view(self, run_key: str) -> RunView | None:
        """See delivery.reconcile.Runs."""
        return self.runs.get(run_key)

    def stop(self, run_id: str) -> None:
        """See delivery.reconcile.Runs."""
        self.stopped.append(run_id)
        self.end(run_id, Status.CANCELED)

    def declare_lost(self, run_id: str) -> None:
        """See delivery.reconcile.Runs."""
        self.lost.append(run_id)
