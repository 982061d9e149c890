"""Figures of StableNew, each against a baseline in the same run. See docs/benchmarks.md.

``python -m benchmarks`` runs all of them; ``python -m benchmarks.NAME`` one of dispatch, transfer, overhead,
queue and randomizer. One JSON object a line.
"""
