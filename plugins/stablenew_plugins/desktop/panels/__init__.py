"""The parts of the window, in folders by tab, as the view-models are. ``shell`` puts them together."""
