"""Names in NATS: the stream of jobs, its consumer, and the subject template of results."""

import re

from vis_assets.errors import InvalidSetting
from vis_assets.protocol.job import JobEnvelope

JOB_STREAM = "VISUALIZATION_TRANSFORMS"
JOB_SUBJECT = "workers.visualization-transform"
JOB_CONSUMER = "visualization-transform-workers"
DEFAULT_RESULT_SUBJECT = "worker.result.visualization"

_PLACEHOLDERS = ("owner", "embedded_dataset_id", "visualization_transform_id", "visualization_id", "job_id")


def result_subject(template: str, job: JobEnvelope) -> str:
    """Fill the template of the result subject, e.g. `status.{owner}.{visualization_transform_id}`.

    A `.` in a value becomes `%2E`, so that a value is always one token; an unknown value becomes `unknown`.
    """
    values = {name: _token(getattr(job, name)) for name in _PLACEHOLDERS}
    return check_template(template).format(**values)


def check_template(template: str) -> str:
    """Return the template if it makes valid subjects.

    Raises:
        InvalidSetting: unknown placeholder, wildcard, blank or empty token.
    """
    bare = template
    for name in _PLACEHOLDERS:
        bare = bare.replace("{" + name + "}", "x")
    if not re.fullmatch(r"[A-Za-z0-9_%@+-]+(\.[A-Za-z0-9_%@+-]+)*", bare):
        known = ", ".join("{" + name + "}" for name in _PLACEHOLDERS)
        raise InvalidSetting(
            f"VIS_ASSETS_RESULT_SUBJECT={template!r} makes no valid subject; use letters, digits, dots and {known}"
        )
    return template


def _token(value: object) -> str:
    text = "unknown" if value in (None, "") else str(value)
    return text.replace("%", "%25").replace(".", "%2E")
