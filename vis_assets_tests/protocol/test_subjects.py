"""Subjects: the template of results, filled so that no value can change the subject's shape."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vis_assets.errors import InvalidSetting
from vis_assets.protocol.job import Dialect, JobEnvelope
from vis_assets.protocol.subjects import (
    DEFAULT_RESULT_SUBJECT,
    JOB_CONSUMER,
    JOB_STREAM,
    JOB_SUBJECT,
    check_template,
    result_subject,
)
from vis_assets.settings import Settings

JOB = JobEnvelope(Dialect.WORKER, "job-1", 123, 456, "user.name@example.com", 789)


def test_names_are_those_of_the_platform() -> None:
    """Stream, subject, consumer and result subject are the fixed ones; the setting has the same default."""
    assert (JOB_STREAM, JOB_SUBJECT) == ("VISUALIZATION_TRANSFORMS", "workers.visualization-transform")
    assert JOB_CONSUMER == "visualization-transform-workers"
    assert DEFAULT_RESULT_SUBJECT == Settings.model_fields["result_subject"].default == "worker.result.visualization"


def test_template_is_filled() -> None:
    """Each placeholder is replaced by the job's value, whose dots become %2E."""
    template = "transforms.visualization.status.{owner}.{embedded_dataset_id}.{visualization_transform_id}"
    assert result_subject(template, JOB) == "transforms.visualization.status.user%2Ename@example%2Ecom.789.123"
    assert result_subject("a.{job_id}.{visualization_id}", JOB) == "a.job-1.456"
    assert result_subject(DEFAULT_RESULT_SUBJECT, JOB) == DEFAULT_RESULT_SUBJECT


def test_unknown_values_have_a_token_and_zero_is_known() -> None:
    """Of a message that is no job the values are `unknown`; an id of 0 is a value."""
    assert result_subject("a.{owner}.{embedded_dataset_id}", JobEnvelope()) == "a.unknown.unknown"
    assert result_subject("a.{embedded_dataset_id}", JobEnvelope(embedded_dataset_id=0)) == "a.0"


@pytest.mark.parametrize(
    "template",
    [
        "", ".", "a.", ".a", "a..b", "a.*", "a.>", "*", ">", "a b", "a\n", "a.{unknown}", "a.{owner", "a.{{owner}}",
        "a.{owner!r}", "a.{owner.__class__}", "a.{}", "a.{0}", "$JS.API.STREAM.DELETE.x", "é",
    ],
)  # fmt: skip
def test_templates_that_make_no_subject_are_refused(template: str) -> None:
    """Wildcards, blanks, empty tokens, system subjects and unknown placeholders are refused, naming the variable."""
    with pytest.raises(InvalidSetting, match="VIS_ASSETS_RESULT_SUBJECT"):
        check_template(template)


@given(owner=st.from_regex(r"[A-Za-z0-9@_+-][A-Za-z0-9@._+-]{0,127}", fullmatch=True))
def test_any_owner_is_one_token(owner: str) -> None:
    """However many dots an owner has, it is one token of the subject, and no two owners share one."""
    subject = result_subject("a.{owner}.b", JobEnvelope(owner=owner))
    first, token, last = subject.split(".")
    assert (first, last) == ("a", "b")
    assert token.replace("%2E", ".").replace("%25", "%") == owner
