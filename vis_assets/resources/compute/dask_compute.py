"""The run's side of a Dask cluster: one client for the life of a run.

Where no worker answers in time the work is done in the process of the run, and said so: it is slower there, but a map
that comes late is better than none, and every attempt at the same job would meet the same cluster. A worker that ends
while it works fails the attempt instead: what broke it may break the run's process too.
"""

import logging
import os
import pickle
import queue
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vis_assets.errors import ComputeFailed
from vis_assets.resources.compute.abandonment import PLUGIN, as_plugin
from vis_assets.resources.compute.contract import InProcess, OnProgress, Value
from vis_assets.resources.compute.filing import Filing
from vis_assets.resources.compute.shelves import FolderShelf, Shelf, StoreShelf
from vis_assets.resources.compute.task import KEY_PREFIX, Order, Outcome, name_of, perform
from vis_assets.resources.object_store import ObjectStore

if TYPE_CHECKING:
    from distributed import Client, Future

_log = logging.getLogger(__name__)

OWN_CLUSTER = "VIS_ASSETS_DASK_OWN"
"""Environment variable with the address of the cluster that was started on this machine for this installation."""
CONNECT_SECONDS = 60.0
"""How long the scheduler may take to answer; it starts in two."""
WORKER_SECONDS = 180.0
"""How long there may be no worker at all; one that compiles everything anew is warm after a minute or two."""
LARGEST_ORDER_BYTES = 1_000_000
"""What is larger must not travel through the scheduler."""
RESULT_SECONDS = 300.0
"""How long a finished result may take on its way from the worker."""
_LOOK_SECONDS = 1.0
_MEMORY_TOPIC = "worker-restart-memory"
"""Dask's nannies tell it which worker they ended because of its memory."""


class Unanswered(Exception):
    """No scheduler or worker answered in time."""


class OutOfReach(Exception):
    """A worker does not see the run's folder."""


class DaskCompute:
    """Runs functions on the workers of a cluster. Not for several threads."""

    def __init__(
        self,
        address: str,
        run: str,
        scratch: Path,
        store: ObjectStore,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        worker_seconds: float = WORKER_SECONDS,
    ) -> None:
        """Use a cluster from the first call on.

        Args:
            address: of the scheduler; keys for `tls://` are those of Dask's own configuration.
            run: name of the run, for what it writes.
            scratch: folder of the run.
            store: for workers that do not see that folder.
            connect_seconds: how long the scheduler may take to answer.
            worker_seconds: how long there may be no worker.
        """
        self.notes: list[str] = []
        self._address = address
        self._run = run
        self._scratch = scratch / "compute"
        self._store = store
        self._patience = (connect_seconds, worker_seconds)
        self._client: Client | None = None
        self._shelf: Shelf | None = None
        self._filing: Filing | None = None
        self._topic = f"{KEY_PREFIX}{run}-{uuid.uuid4().hex}"
        self._news: queue.SimpleQueue[tuple[str, Mapping[str, Any]]] = queue.SimpleQueue()
        self._instead: InProcess | None = None

    @property
    def workers(self) -> int:
        """See Compute; 1 where no worker answers."""
        if self._instead is None:
            try:
                return max(1, _worker_count(self._connected()))
            except Unanswered as error:
                self._give_up(str(error))
        return 1

    @property
    def shares_cores(self) -> bool:
        """See Compute; workers of somebody else's cluster are taken to have cores of their own."""
        return os.environ.get(OWN_CLUSTER) == self._address

    def run(
        self, function: Callable[..., Value], *args: Any, on_progress: OnProgress | None = None, **kwargs: Any
    ) -> Value:
        """See Compute."""
        if self._instead is None:
            try:
                return self._perform_all(function, [(args, kwargs)], on_progress)[0]  # type: ignore[no-any-return]
            except Unanswered as error:
                self._give_up(str(error))
        return InProcess().run(function, *args, on_progress=on_progress, **kwargs)

    def map(self, function: Callable[..., Value], calls: Iterable[Sequence[Any]]) -> list[Value]:
        """See Compute."""
        listed = list(calls)
        if self._instead is None:
            try:
                return self._perform_all(function, [(call, {}) for call in listed], None)
            except Unanswered as error:
                self._give_up(str(error))
        return InProcess().map(function, listed)

    def close(self) -> None:
        """Leave the cluster, which ends what still works for this run, and remove its files."""
        if self._client is not None:
            self._client.close(timeout=5)
            self._client = None
        if self._shelf is not None:
            self._shelf.close()
            self._shelf = self._filing = None

    def _give_up(self, why: str) -> None:
        self.notes.append(f"{why}; this map was computed in the process of its run, which is slower")
        _log.warning("%s; computing in the process of the run", why)
        self._instead = InProcess()
        self.close()

    def _connected(self) -> "Client":
        if self._client is None:
            self._client = self._connect()
        return self._client

    def _connect(self) -> "Client":
        client = _client(self._address, self._patience[0])
        _offer_plugin(client)
        client.subscribe_topic(self._topic, self._hear)
        return client

    def _hear(self, event: tuple[float, Mapping[str, Any]]) -> None:
        """Take an event from Dask's thread to ours."""
        self._news.put((event[1]["key"], event[1]))

    def _perform_all(
        self,
        function: Callable[..., Any],
        calls: Sequence[tuple[Sequence[Any], Mapping[str, Any]]],
        on_progress: OnProgress | None,
    ) -> list[Any]:
        self._connected()
        if self._shelf is None:
            self._use(FolderShelf(self._scratch))
        try:
            return self._attempt(function, calls, on_progress)
        except OutOfReach:
            self._use(StoreShelf(self._store, self._run, self._scratch))
            return self._attempt(function, calls, on_progress)

    def _use(self, shelf: Shelf) -> None:
        if self._shelf is not None:
            self._shelf.close()
        self._shelf, self._filing = shelf, Filing(shelf)

    def _attempt(
        self,
        function: Callable[..., Any],
        calls: Sequence[tuple[Sequence[Any], Mapping[str, Any]]],
        on_progress: OnProgress | None,
    ) -> list[Any]:
        shelf, filing = self._shelf, self._filing
        assert shelf is not None
        assert filing is not None
        filing.begin()
        orders = [
            Order(
                key=f"{KEY_PREFIX}{uuid.uuid4().hex}",
                function=name_of(function),
                args=[filing.file(value) for value in args],
                kwargs={name: filing.file(value) for name, value in kwargs.items()},
                reports=on_progress is not None,
                topic=self._topic,
                mark=shelf.mark,
            )
            for args, kwargs in calls
        ]
        futures = {order.key: self._submit(order) for order in orders}
        try:
            outcomes = _Waiting(self._connected(), futures, self._news, on_progress, self._patience[1]).wait()
        finally:
            self._forget(futures)
        return [_value(outcomes[order.key]) for order in orders]

    def _submit(self, order: Order) -> "Future[Outcome]":
        """Hand a task to the scheduler, which keeps it until a worker is free.

        A task that is marked as a producer of data is queued there; others would be sent to busy workers, and share
        their fate.
        """
        from dask._task_spec import Task

        packed = pickle.dumps(order)
        if len(packed) > LARGEST_ORDER_BYTES:
            raise ComputeFailed(f"the arguments of {order.function} take {len(packed)} bytes besides arrays and texts")
        task = Task(order.key, perform, packed, _data_producer=True)
        client = self._connected()
        future = client.get({order.key: task}, order.key, sync=False)
        future.add_done_callback(lambda ended: self._news.put((ended.key, {"done": True})))
        return future  # type: ignore[no-any-return]

    def _forget(self, futures: Mapping[str, "Future[Outcome]"]) -> None:
        """Release results; what still works is ended (see `abandonment`)."""
        working = [future for future in futures.values() if not future.done()]
        if working and self._client is not None:
            self._client.cancel(working)
        for future in futures.values():
            future.release()


class _Waiting:
    """Waits for tasks, and calls back in this thread."""

    def __init__(
        self,
        client: "Client",
        futures: Mapping[str, "Future[Outcome]"],
        news: "queue.SimpleQueue[tuple[str, Mapping[str, Any]]]",
        on_progress: OnProgress | None,
        worker_seconds: float,
    ) -> None:
        self._client = client
        self._futures = futures
        self._news = news
        self._on_progress = on_progress
        self._worker_seconds = worker_seconds
        self._begun: set[str] = set()
        self._last_report: tuple[float, float] | None = None
        self._outcomes: dict[str, Outcome] = {}
        self._workers_seen = time.monotonic()
        self._told = False

    def wait(self) -> dict[str, Outcome]:
        """Return the outcomes by key."""
        while len(self._outcomes) < len(self._futures):
            try:
                key, news = self._news.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                self._require_workers()
                continue
            if key in self._futures:  # else news of an earlier call
                self._take(key, news)
        return self._outcomes

    def _take(self, key: str, news: Mapping[str, Any]) -> None:
        if "began" in news:
            self._begin(key)
        elif "progress" in news:
            self._report(news["progress"])
        elif key not in self._outcomes:
            outcome = self._outcome(key)
            if outcome.out_of_reach:
                raise OutOfReach
            if outcome.last_report is not None:
                self._report(outcome.last_report)
            self._outcomes[key] = outcome

    def _begin(self, key: str) -> None:
        """Notice that a task began; a second time is Dask's silent repetition after its worker was lost."""
        if key in self._begun:
            raise ComputeFailed(LOST)
        self._begun.add(key)

    def _report(self, report: Sequence[float]) -> None:
        done, total = report
        if self._on_progress is not None and (done, total) != self._last_report:
            self._last_report = (done, total)
            self._on_progress(done, total)

    def _outcome(self, key: str) -> Outcome:
        from distributed import KilledWorker

        future = self._futures[key]
        try:
            outcome: Outcome = future.result(timeout=RESULT_SECONDS)
        except KilledWorker as error:
            raise ComputeFailed(self._cause(error.last_worker.address)) from None
        except Exception as error:  # noqa: BLE001 - errors of functions are outcomes; this is one of Dask or the network
            what = f"{type(error).__name__}: {error}"[:300]
            raise ComputeFailed(f"the Dask cluster was lost or failed while it worked: {what}") from None
        return outcome

    def _cause(self, worker: str) -> str:
        """Say why a worker ended, as far as its nanny told."""
        for _ in range(5):
            told = self._client.get_events(_MEMORY_TOPIC)
            rss = next((event["rss"] for _, event in reversed(told) if event["worker"] == worker), None)
            if rss is not None:
                return (
                    f"a compute worker was ended because it held {rss / 2**20:.0f} MiB, near its limit; give it more "
                    "with VIS_ASSETS_DASK_MEMORY, or map fewer points at a time (VIS_ASSETS_MAX_POINTS)"
                )
            time.sleep(0.1)
        return LOST

    def _require_workers(self) -> None:
        now = time.monotonic()
        if not self._begun and not self._told:
            self._told = True
            _log.info("waiting for a free compute worker")
        if _worker_count(self._client):
            self._workers_seen = now
        elif now - self._workers_seen > self._worker_seconds:
            if self._begun - self._outcomes.keys():
                raise ComputeFailed(LOST)
            raise Unanswered(f"the Dask cluster had no worker for {self._worker_seconds:.0f} s")


LOST = (
    "the compute worker ended while it worked: it was killed, or the machine ran out of memory; a fresh one takes its "
    "place, and the job is tried again; see the log of the workers if this repeats"
)


def _value(outcome: Outcome) -> Any:
    if outcome.error is not None:
        kind, text = outcome.error
        raise kind(text)
    return outcome.value


def describe_cluster(address: str, seconds: float = 5.0) -> str:
    """Say how many workers a cluster has.

    Raises:
        ComputeFailed: it does not answer within that time, or has none.
    """
    try:
        client = _client(address, seconds)
    except Unanswered as error:
        raise ComputeFailed(f"{error}; is VIS_ASSETS_DASK_SCHEDULER right?") from None
    try:
        threads = _threads(client)
    finally:
        client.close(timeout=seconds)
    if not threads:
        raise ComputeFailed(f"{address} has no worker yet; start some, or wait until they are warm")
    idle = "; each does one task at a time: start them with --nthreads 1" if max(threads) > 1 else ""
    return f"{address}: {len(threads)} workers{idle}"


def _client(address: str, seconds: float) -> "Client":
    from distributed import Client

    try:
        return Client(address, timeout=seconds, set_as_default=False, direct_to_workers=True, name="vis-assets")
    except OSError:  # TimeoutError is one
        raise Unanswered(f"no Dask scheduler at {address} answered for {seconds:.0f} s") from None


def _offer_plugin(client: "Client") -> None:
    """Give somebody else's scheduler what ends abandoned work; ours has it."""
    try:
        client.register_plugin(as_plugin(), name=PLUGIN)
    except (ValueError, OSError) as error:
        _log.warning("the Dask scheduler takes no plugin (%s): work that is given up goes on to its end", error)


def _worker_count(client: "Client") -> int:
    return len(_threads(client))


def _threads(client: "Client") -> list[int]:
    """Return how many threads each worker has."""
    try:
        return list(client.nthreads().values())
    except OSError:  # the scheduler is away; Dask connects again by itself
        return []
