-- What images are found by. All of it can be made again: of job, output and the learning journal.

-- Settings that many images share: all of a run that varies none of them.
CREATE TABLE setup (
  id     INTEGER PRIMARY KEY,
  sha256 TEXT NOT NULL UNIQUE,                -- of stages and settings
  stages TEXT NOT NULL                        -- JSON list: those that took part, in order
) STRICT;
CREATE TABLE setting (
  name     TEXT    NOT NULL,
  value    ANY     NOT NULL,                  -- a number, or text in lower case
  stage    TEXT    NOT NULL,
  setup_id INTEGER NOT NULL REFERENCES setup (id),
  PRIMARY KEY (name, value, stage, setup_id)
) STRICT, WITHOUT ROWID;

-- A row for each output that is saved.
CREATE TABLE image (
  id           INTEGER PRIMARY KEY,
  job_seq      INTEGER NOT NULL,
  idx          INTEGER NOT NULL,              -- in its job, from 0
  run_seq      INTEGER NOT NULL REFERENCES run (seq),
  setup_id     INTEGER NOT NULL REFERENCES setup (id),
  stars        INTEGER NOT NULL,              -- as in rating; 0: not rated
  seed         INTEGER NOT NULL,              -- less 2^63: a seed has 64 bits and no sign, an integer here has one
  saved_at     TEXT    NOT NULL,
  model        TEXT    NOT NULL,              -- that was used
  preset       TEXT    NOT NULL,
  pixel_sha256 TEXT    NOT NULL,
  UNIQUE (job_seq, idx),
  FOREIGN KEY (job_seq, idx) REFERENCES output (job_seq, idx)
) STRICT;
CREATE INDEX image_newest ON image (saved_at, job_seq);
CREATE INDEX image_best ON image (stars, saved_at, job_seq);
CREATE INDEX image_run ON image (run_seq, model, preset, stars);  -- all that facets count
CREATE INDEX image_pixels ON image (pixel_sha256);

-- Words of prompts, model, sampler and file name of each image, by its id. The text itself is not kept here.
CREATE VIRTUAL TABLE image_words USING fts5 (words, content='', tokenize='unicode61');

-- The latest rating of each image, as the learning journal has it, which is the truth.
CREATE TABLE rating (
  image_sha256 TEXT    PRIMARY KEY,
  stars        INTEGER NOT NULL CHECK (stars BETWEEN 1 AND 5),
  tags         TEXT    NOT NULL,              -- JSON list
  rated_at     TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE rating_tag (
  tag          TEXT NOT NULL,
  image_sha256 TEXT NOT NULL REFERENCES rating (image_sha256) ON DELETE CASCADE,
  PRIMARY KEY (tag, image_sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX rating_tag_image ON rating_tag (image_sha256);

-- Images that were saved before there was this table are taken in by the kernel, a few at a time, newest first:
-- those of jobs below this one are still to be looked at.
INSERT INTO meta (key, value) SELECT 'gallery_left', coalesce(max(job_seq), 0) + 1 FROM output;
