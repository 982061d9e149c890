"""The desktop: a window on a kernel, drawn with Dear PyGui."""
