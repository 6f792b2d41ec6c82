"""Prometheus metrics, made from what NATS and Dagster keep: they survive restarts of every process of ours.

Counters are sums over what is kept (VIS_ASSETS_RESULT_DAYS): they start lower where a worker starts after something of
it expired, which Prometheus takes for a reset. Facts about jobs are told by the leader alone, so sums over workers are
right.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from vis_assets.delivery.job_record import JobRecord, JobState
from vis_assets.operations.health import State, tick_age
from vis_assets.operations.naming_totals import NamingTotals
from vis_assets.operations.stage_durations import Histogram
from vis_assets.operations.watch import Sight

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Facts:
    """What metrics are made from.

    Attributes:
        state: of the worker.
        sight: of the world.
        ready: it would do a job now.
        deaths: process, of Dagster or the Dask cluster -> how often it was started again.
        stages: stage -> durations.
        naming: who named clusters, and what that took.
        wall: now, seconds since 1970.
        compute_workers: warm workers of the Dask cluster that this worker runs; None where it runs none.
    """

    state: State
    sight: Sight
    ready: bool
    deaths: Mapping[str, int]
    stages: Mapping[str, Histogram]
    naming: NamingTotals
    wall: float
    compute_workers: int | None = None


def exposition(facts: Callable[[], Facts]) -> Callable[[], bytes]:
    """Return a function that writes all metrics as they are then."""

    class Worker(Collector):
        def collect(self) -> Iterator[Metric]:
            now = facts()
            yield from _of_worker(now)
            if now.state.leads:
                yield from _of_jobs(now)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Worker())
    return lambda: generate_latest(registry)


def _of_worker(facts: Facts) -> Iterator[Metric]:
    yield _gauge("leader", "1 where this worker reconciles, 0 where it stands by.", facts.state.leads)
    yield _gauge("ready", "1 where /ready says so.", facts.ready)
    yield _gauge("draining", "1 where the worker was told to stop.", facts.state.draining)
    deaths = CounterMetricFamily(
        "vis_assets_process_restarts",
        "Times a process ended since this worker began.",
        labels=["process"],
    )
    for process, count in facts.deaths.items():
        deaths.add_metric([process], count)
    yield deaths
    if facts.compute_workers is not None:
        yield _gauge("compute_workers", "Warm workers of the Dask cluster of this machine.", facts.compute_workers)


def _of_jobs(facts: Facts) -> Iterator[Metric]:
    age = tick_age(facts.state, facts.sight.queue, facts.wall)
    if age is not None:
        yield _gauge("tick_age_seconds", "Seconds since a tick last reconciled.", age)
    totals = facts.sight.totals
    jobs = CounterMetricFamily("vis_assets_jobs", "Jobs that have their terminal result.", labels=["outcome"])
    for outcome, count in totals.outcomes.items():
        jobs.add_metric([outcome], count)
    yield jobs
    told = {job.job_id for job in totals.recent}
    open_jobs = [r for r in (facts.sight.queue.records if facts.sight.queue else ()) if r.job_id not in told]
    retries = totals.retries + sum(record.failures + record.lost for record in open_jobs)
    yield CounterMetricFamily("vis_assets_retries", "Attempts at jobs after the first.", value=retries)
    lost = totals.lost + sum(record.lost for record in open_jobs)
    yield CounterMetricFamily("vis_assets_lost_attempts", "Attempts whose process vanished.", value=lost)
    yield from _of_queue(facts, open_jobs)
    stages = HistogramMetricFamily(
        "vis_assets_stage_duration_seconds", "How long a stage took, in any run.", labels=["stage"]
    )
    for stage, histogram in facts.stages.items():
        stages.add_metric([stage], histogram.buckets(), histogram.seconds)
    yield stages
    yield from _of_names(facts.naming)


def _of_names(naming: NamingTotals) -> Iterator[Metric]:
    calls = CounterMetricFamily(
        "vis_assets_llm_calls", "Requests to language models, repeated ones too.", labels=["model", "outcome"]
    )
    tokens = CounterMetricFamily(
        "vis_assets_llm_tokens",
        "Tokens of questions and answers; estimated where the server does not say.",
        labels=["model", "direction"],
    )
    cost = CounterMetricFamily("vis_assets_llm_cost_usd", "Money, where the price is known.", labels=["model"])
    for model, used in naming.models.items():
        calls.add_metric([model, "answered"], used.answered)
        calls.add_metric([model, "failed"], used.failed)
        tokens.add_metric([model, "input"], used.input_tokens)
        tokens.add_metric([model, "output"], used.output_tokens)
        if used.cost_usd is not None:
            cost.add_metric([model], used.cost_usd)
    named = CounterMetricFamily("vis_assets_clusters_named", "Clusters, by who named them.", labels=["by"])
    for who, count in naming.named.items():
        named.add_metric([who], count)
    yield from (calls, tokens, cost, named)
    yield CounterMetricFamily(
        "vis_assets_names_remembered", "Clusters that kept the name of an earlier run.", value=naming.remembered
    )


def _of_queue(facts: Facts, open_jobs: list[JobRecord]) -> Iterator[Metric]:
    queue = facts.sight.queue
    if queue is None or queue.waiting is None:
        return
    waiting = [record for record in open_jobs if record.state is JobState.WAITING]
    later = [record for record in waiting if record.not_before > facts.wall]
    yield _gauge("jobs_active", "Jobs whose run was asked for.", len(open_jobs) - len(waiting))
    yield _gauge(
        "jobs_queued",
        "Jobs that wait for their turn, in the stream or taken in.",
        queue.waiting + len(waiting) - len(later),
    )
    yield _gauge("jobs_waiting_for_retry", "Jobs that wait for the time of their next attempt.", len(later))
    yield _gauge("dead_letters", "Jobs that were given up and are kept.", queue.dead_letters)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"vis_assets_{name}", meaning, value=float(value))
