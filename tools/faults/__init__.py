"""A seeded campaign of faults against the real daemon, a real broker and real RTSP cameras; see docs/reliability.md.

python -m tools.faults --help
"""
