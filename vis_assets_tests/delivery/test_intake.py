"""What is done with a message that came in."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vis_assets.delivery.intake import Rejection, examine
from vis_assets.protocol.job import Dialect, ParsedJob
from vis_assets_tests.protocol.messages import EXAMPLE, encoded, explorer_job, worker_job


def test_a_job_is_taken_in() -> None:
    """A valid message of either dialect is a job."""
    taken = examine(encoded(EXAMPLE))
    assert isinstance(taken, ParsedJob)
    assert taken.job.job_id == EXAMPLE["job_id"]
    explorer = examine(encoded(explorer_job()))
    assert isinstance(explorer, ParsedJob)
    assert explorer.dialect is Dialect.SEMANTIC_EXPLORER


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"\xff\xfe", b'{"job_id": NaN}', b"x" * 1_000_001])
def test_what_is_no_message_is_answered_without_ids(payload: bytes) -> None:
    """Of bytes that are no JSON object nothing is known: a failed result with null ids, and the reason."""
    verdict = examine(payload)
    assert isinstance(verdict, Rejection)
    answer = json.loads(verdict.result(7))
    assert answer["status"] == "failed"
    assert answer["errorMessage"] == verdict.reason.replace("message ", "message 7 ", 1)
    assert answer["jobId"] is answer["visualizationTransformId"] is answer["visualizationId"] is answer["owner"] is None


def test_an_invalid_job_is_answered_with_its_ids() -> None:
    """An invalid job is answered with the ids that are well-formed and the field that is wrong."""
    verdict = examine(encoded(worker_job(owner="../x", visualization_config={"n_neighbors": 1})))
    assert isinstance(verdict, Rejection)
    answer = json.loads(verdict.result(7))
    assert (answer["jobId"], answer["visualizationTransformId"], answer["owner"]) == (EXAMPLE["job_id"], 123, None)
    assert "owner: " in answer["errorMessage"]
    assert "visualization_config.n_neighbors: 1 " in answer["errorMessage"]


def test_a_job_without_an_id_is_named_by_its_sequence() -> None:
    """The sender knows the sequence from the stream's answer to the publish."""
    verdict = examine(encoded(worker_job(job_id="no id!")))
    assert isinstance(verdict, Rejection)
    assert json.loads(verdict.result(7))["errorMessage"].startswith("message 7: job_id: ")


def test_an_invalid_explorer_job_is_answered_in_its_dialect() -> None:
    """An invalid job of the Semantic Explorer gets its error in that dialect."""
    verdict = examine(encoded(explorer_job(qdrant_collection_name="")))
    assert isinstance(verdict, Rejection)
    assert json.loads(verdict.result(7))["ownerId"] == EXAMPLE["owner"]


@given(st.binary(max_size=100) | st.dictionaries(st.text(), st.text()).map(lambda d: json.dumps(d).encode()))
def test_every_message_has_a_verdict(payload: bytes) -> None:
    """Whatever arrives is a job or is answered; nothing is raised."""
    verdict = examine(payload)
    assert isinstance(verdict, ParsedJob) or json.loads(verdict.result(7))["status"] == "failed"
