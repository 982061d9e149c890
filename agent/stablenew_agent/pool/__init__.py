"""The worker processes of an agent: one a slot, started ahead of the first job, killed when they do not listen.

Everything runs on the agent's loop; nothing here waits. A job is given to ``WorkerPool.run`` and comes back
once, through ``PoolEvents.ended``, unless it was dropped.

Who owns what:

* ``pool.WorkerPool``: the jobs that wait, and which worker gets the next one. What the agent talks to.
* ``slot.Slot``: the jobs that one worker has, their timers, and whether its backend answers.
* ``supervisor.Supervisor``: the process of a slot, and when the next one is started.
* ``process.WorkerProcess``: its pipes.

No state has two owners. ``ends`` judges how a job ended, ``lines`` writes and reads the lines of a worker: they
have none. ``jobs`` is what comes in, ``reports`` what goes out, ``setup`` what a worker is told at its start.

A worker gets a second job ahead, which it holds *ready* until the first one lets go of the device; so the
device does not wait for us, and the first one finishes beside the second one. What is ready has not started: it
can be taken back, and outlives its worker.

Races, and who wins:

* A cancel crosses the job's ``done`` line: the line wins, since it tells what happened.
* A worker dies after it wrote ``done``: a death counts only once its output was read to the end.
* The grace time of a cancel ends while the result is in the pipe: the same; the result wins if it was written.
* A job is taken back while it starts: the worker alone knows, and answers with ``done`` or ``started``.
* A worker dies with two jobs that had started. If we killed it because of one, the other one runs again in the
  next worker. If it died by itself, nobody knows because of which: both run again, each with a worker to
  itself; whose worker dies again has failed.
"""
