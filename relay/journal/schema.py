"""The journal's tables. A change of them is a step in `migrations.py` as well.

States are kept as the words of `relay.model.messages`. `messages.seq` and `deliveries.id` ascend
with arrival; the relay gives them out itself, since one relay at a time writes new rows.
`sealed_by` is the id of the key with which the one column that holds people's words is sealed; NULL
if it is not.
"""

import re

_TABLE = re.compile(r"CREATE TABLE (\w+)")

SCHEMA = """
CREATE TABLE endpoints (
  id INTEGER NOT NULL,
  bot VARCHAR NOT NULL,
  name VARCHAR NOT NULL,
  configured BOOLEAN NOT NULL,
  paused BOOLEAN NOT NULL,
  state VARCHAR NOT NULL,
  last_error TEXT,
  next_probe_at FLOAT,
  gone_since FLOAT,
  sealed_by VARCHAR,
  address VARCHAR,  -- a digest of where it posts to; NULL until a start has introduced it
  PRIMARY KEY (id),
  UNIQUE (bot, name)
);

-- `open` counts the deliveries without end, `holding` what keeps READ back, and `ends_as` says how
-- the message finishes when nothing is open any more: `rules.py`.
CREATE TABLE messages (
  seq INTEGER NOT NULL,
  bot VARCHAR NOT NULL,
  message_id VARCHAR NOT NULL,
  conversation_id VARCHAR NOT NULL,
  user_id VARCHAR NOT NULL,
  category VARCHAR NOT NULL,
  source VARCHAR NOT NULL,
  received_at FLOAT NOT NULL,
  receipt VARCHAR NOT NULL,
  receipt_at FLOAT,
  outcome VARCHAR,
  finished_at FLOAT,
  size INTEGER NOT NULL,
  frame BLOB NOT NULL,
  sealed_by VARCHAR,
  open INTEGER NOT NULL DEFAULT 0,
  holding INTEGER NOT NULL DEFAULT 0,
  ends_as VARCHAR NOT NULL DEFAULT 'read',
  PRIMARY KEY (seq),
  UNIQUE (message_id, bot)
);
CREATE INDEX messages_unfinished ON messages (bot, seq) WHERE outcome IS NULL;
CREATE INDEX messages_owed ON messages (bot, seq) WHERE receipt = 'owed';
CREATE INDEX messages_finished ON messages (finished_at) WHERE outcome != 'dead';
CREATE INDEX messages_sealed ON messages (sealed_by) WHERE sealed_by IS NOT NULL;

-- `replay` is the number of the replay that a delivery is part of; NULL if it is owed. The last
-- three are of the attempt that was taken, which has no row of its own.
CREATE TABLE deliveries (
  id INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  endpoint_id INTEGER NOT NULL,
  lane VARCHAR NOT NULL,
  required BOOLEAN NOT NULL,
  state VARCHAR NOT NULL,
  attempts INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  rejections INTEGER NOT NULL,
  first_attempt_at FLOAT,
  doubtful BOOLEAN NOT NULL,
  ended_at FLOAT,
  ended_reason VARCHAR,
  replay INTEGER,
  started_at FLOAT,
  duration FLOAT,
  status INTEGER,
  PRIMARY KEY (id),
  FOREIGN KEY (seq) REFERENCES messages (seq),
  FOREIGN KEY (endpoint_id) REFERENCES endpoints (id)
);
CREATE INDEX deliveries_of_message ON deliveries (seq);
CREATE INDEX deliveries_pending ON deliveries (endpoint_id, lane, id) WHERE state = 'pending';
CREATE INDEX deliveries_oldest ON deliveries (endpoint_id, required, id)
  WHERE state = 'pending' AND replay IS NULL;
CREATE INDEX deliveries_dead ON deliveries (endpoint_id, ended_at) WHERE state = 'dead';
CREATE INDEX deliveries_replayed ON deliveries (replay, state) WHERE replay IS NOT NULL;

-- A row for each lane with something to load: deliveries that memory does not hold. `due_at` is
-- when its first one may be attempted.
CREATE TABLE lanes (
  endpoint_id INTEGER NOT NULL,
  lane VARCHAR NOT NULL,
  due_at FLOAT NOT NULL,
  PRIMARY KEY (endpoint_id, lane),
  FOREIGN KEY (endpoint_id) REFERENCES endpoints (id)
) WITHOUT ROWID;
CREATE INDEX lanes_due ON lanes (endpoint_id, due_at);

-- What is to be sent again: of the messages from `begin` to `upto` those up to `position` are.
CREATE TABLE replays (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  endpoint_id INTEGER NOT NULL,
  since FLOAT NOT NULL,
  until FLOAT,
  asked_at FLOAT NOT NULL,
  "begin" INTEGER NOT NULL,
  position INTEGER NOT NULL,
  upto INTEGER NOT NULL,
  queued INTEGER NOT NULL,
  ended_at FLOAT,
  cancelled BOOLEAN NOT NULL,
  FOREIGN KEY (endpoint_id) REFERENCES endpoints (id)
);

-- Attempts that failed, or of which there is more to tell than a delivery's row does.
CREATE TABLE attempts (
  id INTEGER NOT NULL,
  delivery_id INTEGER NOT NULL,
  number INTEGER NOT NULL,
  started_at FLOAT NOT NULL,
  duration FLOAT NOT NULL,
  outcome VARCHAR NOT NULL,
  status INTEGER,
  reason VARCHAR,
  detail TEXT NOT NULL,
  sealed_by VARCHAR,
  PRIMARY KEY (id),
  FOREIGN KEY (delivery_id) REFERENCES deliveries (id)
);
CREATE INDEX attempts_of_delivery ON attempts (delivery_id);
CREATE INDEX attempts_sealed ON attempts (sealed_by) WHERE sealed_by IS NOT NULL;

-- Counted in the transactions that receive and finish, to be held against the rows.
CREATE TABLE tallies (
  bot VARCHAR NOT NULL,
  received INTEGER NOT NULL,
  finished INTEGER NOT NULL,
  PRIMARY KEY (bot)
);

-- What operators did, for a running relay to follow, and for its log.
CREATE TABLE notices (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  kind VARCHAR NOT NULL,
  bot VARCHAR NOT NULL,
  endpoint VARCHAR NOT NULL,
  count INTEGER NOT NULL,
  actor VARCHAR,
  asked VARCHAR,
  acted INTEGER
);

CREATE TABLE unreadable (
  bot VARCHAR NOT NULL,
  digest VARCHAR NOT NULL,
  why VARCHAR NOT NULL,
  times INTEGER NOT NULL,
  first_at FLOAT NOT NULL,
  last_at FLOAT NOT NULL,
  sample BLOB NOT NULL,
  sealed_by VARCHAR,
  PRIMARY KEY (bot, digest)
);
CREATE INDEX unreadable_last_seen ON unreadable (bot, last_at);
CREATE INDEX unreadable_sealed ON unreadable (sealed_by) WHERE sealed_by IS NOT NULL;

-- One row: whether the last run stopped cleanly, and by which key it sealed what it wrote.
CREATE TABLE run (
  id INTEGER NOT NULL,
  clean BOOLEAN NOT NULL,
  seals_with VARCHAR,
  PRIMARY KEY (id)
);

CREATE TABLE alembic_version (
  version_num VARCHAR(32) NOT NULL,
  CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
"""

TABLES = tuple(_TABLE.findall(SCHEMA))
