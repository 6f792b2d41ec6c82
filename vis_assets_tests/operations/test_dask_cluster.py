"""How this machine is shared out among the workers of its Dask cluster, and who may reach it."""

import ssl
from pathlib import Path

import pytest

from vis_assets.errors import InvalidSetting
from vis_assets.operations.dask_cluster import Cluster, plan_cluster, starts_cluster, write_state
from vis_assets.settings import Settings, load_settings

pytestmark = pytest.mark.enable_socket  # a free port is looked for


def test_cores_and_memory_are_shared_out() -> None:
    """Workers together use no more than the machine has."""
    alone = plan_cluster(Settings(VIS_ASSETS_DASK_WORKERS=1))
    one_of_four = plan_cluster(Settings(VIS_ASSETS_DASK_WORKERS=4))
    assert (alone.workers, one_of_four.workers) == (1, 4)
    assert one_of_four.memory_bytes * 4 == pytest.approx(alone.memory_bytes, abs=4)
    assert alone.threads >= one_of_four.threads >= 1
    assert plan_cluster(Settings()).workers >= 1


def test_memory_is_read_with_its_unit() -> None:
    """Binary units are binary, and no unit means bytes."""
    amounts = {"8 GiB": 8 * 2**30, "700MB": 700_000_000, "1.5g": 1_500_000_000, "123456789": 123_456_789}
    for text, size_bytes in amounts.items():
        assert plan_cluster(Settings(VIS_ASSETS_DASK_MEMORY=text)).memory_bytes == size_bytes


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VIS_ASSETS_COMPUTE", "ray"),
        ("VIS_ASSETS_DASK_SCHEDULER", "localhost:8786"),
        ("VIS_ASSETS_DASK_SCHEDULER", "tcp://user:password@host:8786"),
        ("VIS_ASSETS_DASK_WORKERS", "0"),
        ("VIS_ASSETS_DASK_MEMORY", "lots"),
        ("VIS_ASSETS_LAYOUT_ENGINE", "tsne"),
        ("VIS_ASSETS_SEED", "-1"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(name: str, value: str) -> None:
    """The variable is named in the error."""
    with pytest.raises(InvalidSetting, match=name):
        load_settings({name: value})


def test_a_cluster_is_started_unless_there_is_one_or_none_is_wanted() -> None:
    """One setting points to an existing cluster, another turns Dask off."""
    assert starts_cluster(Settings())
    assert not starts_cluster(Settings(VIS_ASSETS_DASK_SCHEDULER="tcp://host:8786"))
    assert not starts_cluster(Settings(VIS_ASSETS_COMPUTE="in-process"))


def test_the_key_is_made_anew_for_this_user_only(tmp_path: Path) -> None:
    """Each start has another key, in a file that nobody else may read, and TLS takes it."""
    environment = Cluster(tmp_path).environment
    file = Path(environment["DASK_DISTRIBUTED__COMM__TLS__CA_FILE"])
    first = file.read_bytes()
    Cluster(tmp_path)
    assert file.read_bytes() != first
    assert file.stat().st_mode & 0o777 == 0o600
    ssl.create_default_context(cafile=str(file)).load_cert_chain(file)


def test_what_the_cluster_wrote_is_read_back(tmp_path: Path) -> None:
    """A state that is not there, or half written, is none."""
    cluster = Cluster(tmp_path)
    assert cluster.state() is None
    write_state(cluster.state_file, 3)
    state = cluster.state()
    assert state is not None
    assert state.workers == 3
    cluster.state_file.write_text("{")
    assert cluster.state() is None
