"""Which files are wildcard files, for those who read them and those who only bring them along."""

from __future__ import annotations

TEXT_ENDINGS = (".txt",)
"""A file is a wildcard, a line a value."""
TREE_ENDINGS = (".json", ".yaml", ".yml")
"""A file is a tree of wildcards."""
ENDINGS = (*TEXT_ENDINGS, *TREE_ENDINGS)

MAX_FILE = 8 * 2**20
"""Bytes of a file; a larger one is refused."""
