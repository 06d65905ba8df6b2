"""Asks the advisory service about every installed package: vulnerabilities fail, an unreachable service does not.

python -m tools.audit
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

TIMEOUT_S = 120


def verdict(report: dict[str, Any]) -> tuple[bool, list[str]]:
    """Whether no vulnerability is known, and sentences for people, from pip-audit's JSON."""
    packages = report["dependencies"]
    asked = [package for package in packages if "skip_reason" not in package]
    found = [(package, vulnerability) for package in asked for vulnerability in package["vulns"]]
    said = [
        f"audit: {package['name']} {package['version']} has {vulnerability['id']}; "
        f"mended in {', '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for package, vulnerability in found
    ]
    if not asked:
        said.append("audit: NOT DONE, the advisory service knows none of the packages: is it reachable from here?")
    elif not found:
        said.append(f"audit: no vulnerability is known of {len(asked)} packages")
    if asked and (skipped := [package["name"] for package in packages if "skip_reason" in package]):
        said.append(f"audit: it knows nothing of {', '.join(skipped)}")
    return not found, said


def main() -> None:
    """Exit code 1 only for vulnerabilities."""
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--skip-editable"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        good, said = verdict(json.loads(done.stdout))
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        good, said = True, ["audit: NOT DONE, the advisory service cannot be reached from here"]
    print("\n".join(said))
    sys.exit(not good)


if __name__ == "__main__":
    main()
