"""The view-models: all that the window knows and does, as plain Python.

They know nothing of Dear PyGui and are used on one thread, the one that draws. What takes time goes through
:class:`~.core.background.Background`; what the kernel tells arrives through :class:`~.core.link.KernelLink`.
Each is a :class:`~.core.model.Model`: it raises its ``revision`` when there is something new to see, and who
draws it looks at that number. They stand in folders by tab; ``core`` is what all of them stand on.
"""
