"""Telling people how far a job is."""

import logging
from collections.abc import Callable
from typing import Protocol

from dagster import DagsterRun
from nats.aio.client import Client

from vis_assets.delivery.access import NatsAccess
from vis_assets.delivery.connection import NatsConnection, arriving
from vis_assets.delivery.run_tags import TRACEPARENT, delivery_of
from vis_assets.errors import BrokerUnavailable, InvalidSetting
from vis_assets.protocol.result import progress_message
from vis_assets.protocol.stages import Stage
from vis_assets.protocol.subjects import result_subject
from vis_assets.protocol.trace_context import trace_headers
from vis_assets.resources.specs import Spec

_log = logging.getLogger(__name__)

Report = Callable[[float, float], None]
"""Called with (units done, units in all) of one stage."""


class Progress(Protocol):
    """Gives a stage somebody to report to."""

    def of(self, run: DagsterRun, spec: Spec, stage: Stage) -> Report:
        """Return where this stage of this run reports; the first and each higher percent is passed on."""


class NatsProgress:
    """Publishes progress messages for runs that a message asked for; other runs report to nobody.

    Progress is a courtesy: where NATS does not answer, the job goes on without it.
    """

    def __init__(self, access: NatsAccess | str, subject_template: str) -> None:
        """Publish to the subject that the template makes."""
        self._access = access
        self._template = subject_template
        self._connection: NatsConnection | None = None
        self._silent = False

    def of(self, run: DagsterRun, spec: Spec, stage: Stage) -> Report:
        """See Progress."""
        if delivery_of(run.tags, is_copy=run.parent_run_id is not None) is None:
            return lambda done, total: None
        subject = result_subject(self._template, spec.envelope)
        headers = trace_headers(run.tags.get(TRACEPARENT))

        def tell(percent: int) -> None:
            self._publish(subject, progress_message(spec.envelope, stage, percent), headers)

        return each_percent(stage, tell)

    def close(self) -> None:
        """Flush and disconnect."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _publish(self, subject: str, payload: bytes, headers: dict[str, str]) -> None:
        if self._silent:
            return

        async def send(client: Client) -> None:
            async with arriving(client):
                await client.publish(subject, payload, headers=headers or None)

        try:
            if self._connection is None:
                self._connection = NatsConnection(self._access, "vis_assets run").open()
            self._connection.run(send, timeout=10)
        except (BrokerUnavailable, InvalidSetting) as error:
            self._silent = True
            _log.warning("progress is not published: %s", error)


class CallbackProgress:
    """Calls a function with (stage, percent): the terminal's progress bar of `vis-assets map`."""

    def __init__(self, callback: Callable[[Stage, int], None]) -> None:
        """Call this function."""
        self._callback = callback

    def of(self, run: DagsterRun, spec: Spec, stage: Stage) -> Report:
        """See Progress."""
        return each_percent(stage, lambda percent: self._callback(stage, percent))


def each_percent(stage: Stage, tell: Callable[[int], None]) -> Report:
    """Turn units into percent of the whole job, and pass on only the first and each higher one."""
    highest = -1

    def report(done: float, total: float) -> None:
        nonlocal highest
        percent = stage.percent(done, total)
        if percent > highest:
            highest = percent
            tell(percent)

    return report
