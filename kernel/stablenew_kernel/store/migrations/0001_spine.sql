-- Runs, jobs, their history, their outputs, nodes. Times are UTC, ISO 8601 with milliseconds.

CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row: the queue itself.
CREATE TABLE queue (
  id            INTEGER PRIMARY KEY CHECK (id = 1),
  paused        INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
  paused_reason TEXT    NOT NULL DEFAULT '',
  next_position INTEGER NOT NULL DEFAULT 1,   -- for a job that goes to the end
  top_position  INTEGER NOT NULL DEFAULT 0    -- for a job that goes to the top; counts down
) STRICT;
INSERT INTO queue (id) VALUES (1);

CREATE TABLE run (
  seq        INTEGER PRIMARY KEY,
  run_id     TEXT    NOT NULL UNIQUE,
  name       TEXT    NOT NULL,
  folder     TEXT    NOT NULL,                -- absolute path of the run's own folder
  state      TEXT    NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'cancelled')),
  priority   INTEGER NOT NULL,
  total      INTEGER NOT NULL DEFAULT 0,      -- jobs ever queued by it
  request    BLOB    NOT NULL,                -- canonical JSON: what was asked for, for reports and run.json
  files      TEXT    NOT NULL DEFAULT '[]',   -- JSON list: paths of reports
  cancel_requested INTEGER NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1)),
  cleared    INTEGER NOT NULL DEFAULT 0 CHECK (cleared IN (0, 1)),
  created_at TEXT    NOT NULL,
  ended_at   TEXT
) STRICT;
CREATE INDEX run_open ON run (seq) WHERE ended_at IS NULL;

CREATE TABLE job (
  seq         INTEGER PRIMARY KEY,            -- order of submission
  job_id      TEXT    NOT NULL UNIQUE,        -- UUIDv7
  run_seq     INTEGER NOT NULL REFERENCES run (seq),
  idx         INTEGER NOT NULL,               -- in its run, from 0
  state       TEXT    NOT NULL DEFAULT 'queued'
              CHECK (state = 'queued' OR state = 'leased' OR state = 'running' OR state = 'done' OR state = 'failed'
                     OR state = 'cancelled' OR state = 'unknown'),
  priority    INTEGER NOT NULL,               -- higher runs first
  rank        INTEGER NOT NULL GENERATED ALWAYS AS (-priority) VIRTUAL,
                                              -- so that (rank, position) ascends in queue order: one row value
  position    INTEGER NOT NULL,               -- unique among queued jobs
  attempt     INTEGER NOT NULL DEFAULT 0,     -- leases so far: the fence
  failures    INTEGER NOT NULL DEFAULT 0,
  min_vram    INTEGER NOT NULL DEFAULT 0,     -- bytes a node must have, learned from running out
  node_id     TEXT    NOT NULL DEFAULT '',
  node_name   TEXT    NOT NULL DEFAULT '',
  spec_sha256 TEXT    NOT NULL,
  model       TEXT    NOT NULL,               -- needs: checkpoint, or empty
  vram        INTEGER NOT NULL,               -- needs: bytes, a hint
  features    TEXT    NOT NULL,               -- needs: JSON list, sorted
  stages      TEXT    NOT NULL,               -- JSON list of stage names, in order
  run_timeout REAL    NOT NULL,               -- seconds
  cancel_reason TEXT,                         -- not NULL: cancel requested, and why
  cleared     INTEGER NOT NULL DEFAULT 0 CHECK (cleared IN (0, 1)),
  created_at  TEXT    NOT NULL,
  updated_at  TEXT    NOT NULL,               -- of the last change of state
  ended_at    TEXT,
  run_time    REAL    NOT NULL DEFAULT 0,     -- seconds in the worker, of the last lease that ended
  peak_vram   INTEGER NOT NULL DEFAULT 0,     -- bytes, likewise
  failure     TEXT,                           -- JSON {kind, message, detail}: the last one
  report      BLOB                            -- canonical JSON: what the worker told
) STRICT;
-- Partial: claiming costs the same with a thousand jobs queued or a million, and with any number done.
-- OR, not IN: SQLite builds a temporary table for IN at every change of a row; a step costs half without.
CREATE INDEX job_queued ON job (rank, position) WHERE state = 'queued';
CREATE INDEX job_active ON job (seq) WHERE (state = 'leased' OR state = 'running' OR state = 'unknown');
CREATE INDEX job_stopped ON job (seq) WHERE (state = 'failed' OR state = 'cancelled');
CREATE INDEX job_visible ON job (seq) WHERE cleared = 0;
CREATE UNIQUE INDEX job_run ON job (run_seq, idx);

-- Apart from job, which is rewritten at each step: a step should not move the spec's bytes.
CREATE TABLE job_spec (
  job_seq INTEGER PRIMARY KEY REFERENCES job (seq),
  spec    BLOB NOT NULL                       -- canonical JSON of the JobSpec
) STRICT;

-- What happened to each job, for ever.
CREATE TABLE job_event (
  event_id   INTEGER PRIMARY KEY,
  job_seq    INTEGER NOT NULL REFERENCES job (seq),
  at         TEXT    NOT NULL,
  who        TEXT    NOT NULL,                -- scheduler, kernel, operator, node NAME
  from_state TEXT    NOT NULL,                -- empty: the job was made
  to_state   TEXT    NOT NULL,
  attempt    INTEGER NOT NULL,
  node_id    TEXT    NOT NULL,
  why        TEXT    NOT NULL
) STRICT;
CREATE INDEX job_event_job ON job_event (job_seq);
CREATE TRIGGER job_event_keep BEFORE DELETE ON job_event
BEGIN SELECT RAISE(ABORT, 'job_event is append-only'); END;
CREATE TRIGGER job_event_stay BEFORE UPDATE ON job_event
BEGIN SELECT RAISE(ABORT, 'job_event is append-only'); END;

-- An image: pending until it stands in the run's folder.
CREATE TABLE output (
  job_seq      INTEGER NOT NULL REFERENCES job (seq),
  idx          INTEGER NOT NULL,              -- in its job, from 0
  attempt      INTEGER NOT NULL,              -- that made it
  state        TEXT    NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'saved')),
  name         TEXT    NOT NULL,              -- of the artifact: a label
  media_type   TEXT    NOT NULL,
  sha256       TEXT    NOT NULL,              -- of the artifact's bytes
  size         INTEGER NOT NULL,
  tags         TEXT    NOT NULL,              -- JSON object
  pixel_sha256 TEXT    NOT NULL,              -- of what is to be seen; empty when the worker did not tell
  path         TEXT,                          -- absolute, once saved
  manifest     BLOB,                          -- its line in manifest.jsonl, once saved
  saved_at     TEXT,
  PRIMARY KEY (job_seq, idx)
) STRICT, WITHOUT ROWID;
CREATE INDEX output_pending ON output (job_seq, idx) WHERE state = 'pending';
CREATE INDEX output_pixels ON output (pixel_sha256) WHERE pixel_sha256 <> '';

-- How many there are, kept in the transaction that changes it: count(*) over a million rows takes 46 ms.
-- run_seq 0 is the whole queue. what: a job state, or 'pending' and 'saved' for outputs. Cleared jobs do not count.
CREATE TABLE tally (
  run_seq INTEGER NOT NULL,
  what    TEXT    NOT NULL,
  n       INTEGER NOT NULL CHECK (n >= 0),
  PRIMARY KEY (run_seq, what)
) STRICT, WITHOUT ROWID;

CREATE TABLE node (
  node_id   TEXT    PRIMARY KEY,
  name      TEXT    NOT NULL,
  epoch     INTEGER NOT NULL,                 -- the highest ever welcomed; never falls
  draining  INTEGER NOT NULL DEFAULT 0 CHECK (draining IN (0, 1)),
  vram      INTEGER NOT NULL DEFAULT 0,       -- bytes of its largest GPU; 0: not known
  info      BLOB,                             -- its NodeInfo, as it came
  last_seen TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
