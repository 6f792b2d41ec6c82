"""The `vis-assets` command. Each command is thin: it reads options, calls `operations`, prints, and sets the exit code.

Exit codes: 0 done, 1 failed, 2 wrong use.
"""

from vis_assets.cli.group import main

__all__ = ["main"]
