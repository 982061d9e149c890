-- What randomizer strategies keep between runs, a row a slot.

CREATE TABLE place (
  pack       TEXT NOT NULL,                   -- the pack's name without its ending
  mode       TEXT NOT NULL,
  slot       TEXT NOT NULL,
  kept       TEXT NOT NULL,                   -- JSON, as the strategy of that mode has it
  changed_at TEXT NOT NULL,                   -- when the last run that moved it was queued
  PRIMARY KEY (pack, mode, slot)
) STRICT, WITHOUT ROWID;
