-- Jobs that are over, in the order in which they ended. All that the other orders of the history go by is in here,
-- too: they are sorted without a look at the jobs. (cleared: SQLite asks for it where it could know.)
CREATE INDEX job_ended ON job (ended_at, seq, state, run_time, run_seq, cleared)
  WHERE ended_at IS NOT NULL AND cleared = 0;
