-- Names that a job needs, images between stages that are kept, and images that were made of images.

ALTER TABLE job ADD COLUMN names TEXT NOT NULL DEFAULT '[]';  -- needs: JSON list, sorted

-- What the first stages of a job made. A job with the same inputs and first stages goes on from there.
CREATE TABLE stage_result (
  key       TEXT    NOT NULL,                 -- sha256 of the inputs and these stages of the spec
  job_seq   INTEGER NOT NULL REFERENCES job (seq),  -- that it was made for; it goes when that is done or cleared
  stages    INTEGER NOT NULL CHECK (stages > 0),    -- how many are done
  artifacts TEXT    NOT NULL,                 -- JSON list: the images, by content
  report    BLOB    NOT NULL,                 -- canonical JSON: what the worker told of these stages
  made_at   TEXT    NOT NULL,
  PRIMARY KEY (key, job_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX stage_result_job ON stage_result (job_seq);

-- A job whose first stage begins with an image that exists.
CREATE TABLE later_job (
  job_seq INTEGER PRIMARY KEY REFERENCES job (seq),
  work    TEXT    NOT NULL                    -- sha256 of that image's pixels and of all stages
) STRICT;
CREATE INDEX later_job_work ON later_job (work);
