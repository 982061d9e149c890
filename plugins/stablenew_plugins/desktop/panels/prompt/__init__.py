"""The tab Prompt."""
