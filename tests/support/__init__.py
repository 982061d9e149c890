"""Servers that tests, benchmarks and people can try the product against."""
