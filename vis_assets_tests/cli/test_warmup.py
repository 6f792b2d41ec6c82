"""`vis-assets warmup`."""

import json
from pathlib import Path

from vis_assets_tests.cli.command import alone, run


def test_warmup_goes_every_path_and_says_where_the_code_is(tmp_path: Path) -> None:
    """Layout, clusters, names, page and preview are gone once, and the folders of the code exist."""
    shown = run("warmup", "--json", environment=alone(tmp_path))
    assert shown.code == 0
    said = json.loads(shown.last_line)
    names = " ".join(path["name"] for path in said["paths"])
    assert all(stage in names for stage in ("layout", "clusters", "names", "page", "preview"))
    assert all(path["seconds"] >= 0 for path in said["paths"])
    assert said["compiled"] + said["loaded"] > 0
    assert all(Path(folder).is_dir() for folder in said["folders"])
