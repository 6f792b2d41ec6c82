"""Metrics from known facts, read with Prometheus's own parser."""

from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from vis_assets.delivery.job_record import JobRecord, JobState
from vis_assets.delivery.leadership import Tick
from vis_assets.delivery.observation import Queue, Settled
from vis_assets.operations.health import State
from vis_assets.operations.metrics import Facts, exposition
from vis_assets.operations.naming_totals import NamingTotals
from vis_assets.operations.stage_durations import Histogram
from vis_assets.operations.watch import Sight, Totals

RECORD = JobRecord("a", "7", 1, "o", (1, 1), "reply")
TOLD = {
    "named_by": {"openai/gpt-4o": 5, "keyphrases": 1},
    "cache_hits": 2,
    "by_model": {
        "openai/gpt-4o": {"calls": 3, "failed_calls": 1, "input_tokens": 70, "output_tokens": 9, "cost_usd": 0.25},
        "vllm/m": {"calls": 1, "failed_calls": 1, "input_tokens": 0, "output_tokens": 0, "cost_usd": None},
    },
}


def facts(*, leads: bool = True) -> Facts:
    """Three finished jobs, four open ones, one of which has its result but not lost its record yet."""
    records = [
        replace(RECORD, job_id="runs", state=JobState.RUNNING, failures=1, lost=1),
        replace(RECORD, job_id="waits"),
        replace(RECORD, job_id="later", not_before=2000.0, failures=2),
        replace(RECORD, job_id="done", state=JobState.RUNNING, failures=3),
    ]
    settled = [
        Settled("done", "completed", 900.0, failures=3),
        Settled("x", "failed", 900.0, failures=6, given_up=True),
        Settled("y", "failed", 900.0),
    ]
    slow = Histogram()
    for seconds in (0.1, 0.2, 7000.0):
        slow.add(seconds)
    return Facts(
        State("w", leads=leads, daemon_seconds=100.0),
        Sight(Queue(4, records, 1, Tick("w", 990.0)), totals=Totals().plus(settled)),
        ready=leads,
        deaths={"daemon": 2},
        stages={"vectors": slow},
        naming=NamingTotals().plus(TOLD).plus(TOLD),
        wall=1000.0,
    )


def told(known: Facts) -> dict[tuple[str, ...], float]:
    """Read the metrics: name and values of its labels, in the order of their names -> value."""
    text = exposition(lambda: known)().decode()
    return {
        (sample.name.removeprefix("vis_assets_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_leader_tells_of_jobs() -> None:
    """Finished and open jobs are summed, and a job that is just being finished is counted once."""
    metrics = told(facts())
    assert metrics["jobs_total", "completed"] == 1
    assert metrics["jobs_total", "failed"] == 2
    assert metrics["jobs_total", "canceled"] == 0
    assert metrics["retries_total",] == 3 + 5 + 2 + 2
    assert metrics["lost_attempts_total",] == 1
    assert (metrics["jobs_active",], metrics["jobs_queued",], metrics["jobs_waiting_for_retry",]) == (1, 5, 1)
    assert (metrics["dead_letters",], metrics["tick_age_seconds",]) == (1, 10)
    assert metrics["process_restarts_total", "daemon"] == 2


def test_durations_are_a_histogram() -> None:
    """Buckets are cumulative, and a bound belongs to its bucket."""
    metrics = told(facts())
    buckets = {key[-1]: value for key, value in metrics.items() if key[0] == "stage_duration_seconds_bucket"}
    by_bound = {(key[1], key[2]): v for key, v in metrics.items() if key[0] == "stage_duration_seconds_bucket"}
    assert buckets
    assert sorted(by_bound.values()) == [1, 2, 2, 2, 2, 2, 2, 2, 2, 3]
    assert metrics["stage_duration_seconds_count", "vectors"] == 3
    assert metrics["stage_duration_seconds_sum", "vectors"] == 7000.3


def test_language_models_are_counted() -> None:
    """Calls by outcome, tokens by direction, money where its price is known, and clusters by who named them."""
    metrics = told(facts())
    assert (
        metrics["llm_calls_total", "openai/gpt-4o", "answered"],
        metrics["llm_calls_total", "vllm/m", "failed"],
    ) == (4, 2)
    assert metrics["llm_calls_total", "openai/gpt-4o", "failed"] == 2
    assert metrics["llm_tokens_total", "input", "openai/gpt-4o"] == 140
    assert metrics["llm_tokens_total", "output", "openai/gpt-4o"] == 18
    assert {key: value for key, value in metrics.items() if key[0] == "llm_cost_usd_total"} == {
        ("llm_cost_usd_total", "openai/gpt-4o"): 0.5
    }
    assert (metrics["clusters_named_total", "openai/gpt-4o"], metrics["clusters_named_total", "keyphrases"]) == (10, 2)
    assert metrics["names_remembered_total",] == 4


def test_a_standby_tells_of_itself_only() -> None:
    """What all workers share is told by one of them, so that sums are right."""
    metrics = told(facts(leads=False))
    assert (metrics["leader",], metrics["ready",]) == (0, 0)
    assert not [
        name
        for name, *_ in metrics
        if name.startswith(("jobs", "retries", "stage", "dead", "tick", "llm", "clusters", "names"))
    ]
