"""The tab Pipeline, and the overlays of presets."""
