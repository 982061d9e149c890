"""The parts of the window. ``shell`` puts them together."""
