"""One module a command, named after it; its click command is called ``command``."""

NAMES = (
    "run",
    "queue",
    "runs",
    "nodes",
    "packs",
    "replay",
    "rate",
    "info",
    "diff",
    "promote",
    "preset",
    "profile",
    "randomizer",
    "wildcards",
    "plugins",
    "doctor",
    "kernel",
)
"""Every command of our own, in the order in which help shows them."""
