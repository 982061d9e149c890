"""The tab Pipeline: stage cards, presets."""
