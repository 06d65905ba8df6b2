from __future__ import annotations

from tools.audit import verdict

GOOD = {"name": "numpy", "version": "2.0", "vulns": []}
BAD = {"name": "leaky", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}
UNKNOWN = {"name": "ours", "skip_reason": "not found"}


def test_no_known_vulnerability_is_good() -> None:
    assert verdict({"dependencies": [GOOD, UNKNOWN]}) == (
        True,
        ["audit: no vulnerability is known of 1 packages", "audit: it knows nothing of ours"],
    )


def test_a_known_vulnerability_is_named_with_its_mend() -> None:
    assert verdict({"dependencies": [GOOD, BAD]}) == (False, ["audit: leaky 1.0 has PYSEC-1; mended in 1.1"])


def test_a_service_that_cannot_be_reached_is_said_and_fails_nothing() -> None:
    good, (sentence,) = verdict({"dependencies": [UNKNOWN]})
    assert good
    assert "NOT DONE" in sentence
