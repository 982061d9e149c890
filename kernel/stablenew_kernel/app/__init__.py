"""The kernel itself: commands in, snapshots and events out.

- ``serve``: the process: lock, port, signals, order of start and stop.
- ``kernel``: the parts put together and how they hear of each other; ``core``: what they share.
- ``runs``, ``queue``, ``nodes``: what clients can ask for; ``bulletin``: what they are told.
- ``planning``: requests to plans.
- ``dispatcher``: the shell around the pure coordinator: commit first, then send.
- ``delivery``: finished images to their folder, records to the learning journal.
- ``board``: the runs that are not over, counted in memory.
- ``local_agent``: the agent on this machine.
"""
