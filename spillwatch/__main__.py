"""``python -m spillwatch``."""

from spillwatch.cli import main

main()
