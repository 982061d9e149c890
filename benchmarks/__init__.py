"""Figures of StableNew, each against a baseline in the same run. See docs/benchmarks.md.

``python -m benchmarks`` runs all of them; ``python -m benchmarks.NAME`` one: dispatch, transfer, overhead,
webui, queue, packs, randomizer, desktop_start, desktop_frame, desktop_memory, desktop_latency. One JSON object
a line.
"""
