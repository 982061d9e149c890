"""Prompt packs: the side bar, and the prompt editor."""
