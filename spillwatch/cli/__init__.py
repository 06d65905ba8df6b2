"""The command line: parse, call one function, exit code. Importing it loads no torch, cv2 or av."""

from spillwatch.cli import footage, models, site  # noqa: F401 - their commands join main
from spillwatch.cli.shell import main

__all__ = ["main"]
