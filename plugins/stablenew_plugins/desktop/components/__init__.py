"""The small parts that panels are made of. Each function makes Dear PyGui items in the current container."""
