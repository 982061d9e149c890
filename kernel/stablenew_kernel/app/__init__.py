"""The kernel itself: commands in, snapshots and events out.

- :mod:`~stablenew_kernel.app.serve`: the process: lock, port, signals, order of start and stop.
- :mod:`~stablenew_kernel.app.kernel`: what clients can ask for.
- :mod:`~stablenew_kernel.app.dispatcher`: the shell around the pure coordinator: commit first, then send.
- :mod:`~stablenew_kernel.app.delivery`: finished images to their folder, records to the learning journal.
- :mod:`~stablenew_kernel.app.planning`: requests to plans.
- :mod:`~stablenew_kernel.app.local_agent`: the agent on this machine.
"""
