"""Who names the topics of the demo; its whole run is in `cli/test_demo_and_dev.py`."""

import urllib.request
from typing import Any

import pytest

from vis_assets.operations.demo import demo_job, naming_model
from vis_assets.protocol.job import parse_job
from vis_assets.settings import Settings

pytestmark = pytest.mark.enable_socket


def test_stand_in() -> None:
    """Without a language model, the demo serves one, says what it is, and how to use a real one."""
    said: list[str] = []
    settings = Settings(LLM_PROVIDER=None, VIS_ASSETS_TOPIC_NAMES="llm")
    with naming_model(settings, said.append) as llm_config:
        job = parse_job(demo_job("http://127.0.0.1:6334", llm_config)).job
        assert job.llm_config is not None
        assert (job.llm_config.provider, job.llm_config.model) == ("openai_compatible", "local-double")
        address = job.llm_config.config.base_url
        assert address is not None
        with urllib.request.urlopen(address.replace("/v1", "/health"), timeout=10) as answer:  # noqa: S310 - our own
            assert answer.status == 200
    [line] = said
    assert address in line
    assert "keyphrases" in line
    assert "LLM_PROVIDER=openai and OPENAI_API_KEY" in line


@pytest.mark.parametrize(
    ("options", "named_by"),
    [
        ({"LLM_PROVIDER": "openai/gpt-4o-mini, cohere"}, "openai/gpt-4o-mini, cohere"),
        ({"VIS_ASSETS_TOPIC_NAMES": "numbers"}, "numbers"),
        ({"VIS_ASSETS_TOPIC_NAMES": "keyphrases", "LLM_PROVIDER": "openai"}, "keyphrases"),
    ],
)
def test_installation_that_knows(options: dict[str, Any], named_by: str) -> None:
    """Where the installation says who names topics, the demo leaves it at that, and says so."""
    said: list[str] = []
    with naming_model(Settings(**options), said.append) as llm_config:
        assert llm_config is None
        assert demo_job("http://127.0.0.1:6334", llm_config)["llm_config"] is None
    [line] = said
    assert named_by in line
