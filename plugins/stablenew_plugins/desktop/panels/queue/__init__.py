"""The tab Queue."""
