"""Prompt packs: read, checked, edited and written. Pure: bytes in, bytes out.

The formats are described in docs/packs-and-presets.md. :func:`parse_pack` is the one parser: what plans,
checks, edits and exports packs uses what it returns.
"""

from stablenew_kernel.domain.packs.model import Pack, PackError, Piece, Problem, Row, located
from stablenew_kernel.domain.packs.read import ENDINGS, parse_pack

__all__ = ["ENDINGS", "Pack", "PackError", "Piece", "Problem", "Row", "located", "parse_pack"]
