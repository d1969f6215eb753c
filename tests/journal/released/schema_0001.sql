BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
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
	PRIMARY KEY (id), 
	FOREIGN KEY(delivery_id) REFERENCES deliveries (id)
);
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
	PRIMARY KEY (id), 
	FOREIGN KEY(endpoint_id) REFERENCES endpoints (id), 
	FOREIGN KEY(seq) REFERENCES messages (seq)
);
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
	PRIMARY KEY (id), 
	UNIQUE (bot, name)
);
CREATE TABLE lanes (
	endpoint_id INTEGER NOT NULL, 
	lane VARCHAR NOT NULL, 
	due_at FLOAT NOT NULL, 
	PRIMARY KEY (endpoint_id, lane), 
	FOREIGN KEY(endpoint_id) REFERENCES endpoints (id)
)
 WITHOUT ROWID

;
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
	PRIMARY KEY (seq), 
	UNIQUE (message_id, bot)
);
CREATE TABLE notices (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	kind VARCHAR NOT NULL, 
	bot VARCHAR NOT NULL, 
	endpoint VARCHAR NOT NULL, 
	count INTEGER NOT NULL
);
CREATE TABLE run (
	id INTEGER NOT NULL, 
	clean BOOLEAN NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE tallies (
	bot VARCHAR NOT NULL, 
	received INTEGER NOT NULL, 
	finished INTEGER NOT NULL, 
	PRIMARY KEY (bot)
);
CREATE TABLE unreadable (
	bot VARCHAR NOT NULL, 
	digest VARCHAR NOT NULL, 
	why VARCHAR NOT NULL, 
	times INTEGER NOT NULL, 
	first_at FLOAT NOT NULL, 
	last_at FLOAT NOT NULL, 
	sample BLOB NOT NULL, 
	PRIMARY KEY (bot, digest)
);
CREATE INDEX messages_finished ON messages (finished_at) WHERE outcome != 'dead';
CREATE INDEX messages_owed ON messages (bot, seq) WHERE receipt = 'owed';
CREATE INDEX messages_pending ON messages (bot, receipt, seq) WHERE outcome IS NULL;
CREATE INDEX unreadable_last_seen ON unreadable (bot, last_at);
CREATE INDEX deliveries_dead ON deliveries (endpoint_id, ended_at) WHERE state = 'dead';
CREATE INDEX deliveries_of_message ON deliveries (seq);
CREATE INDEX deliveries_pending ON deliveries (endpoint_id, lane, id) WHERE state = 'pending';
CREATE INDEX lanes_due ON lanes (endpoint_id, due_at);
CREATE INDEX attempts_of_delivery ON attempts (delivery_id);
DELETE FROM "sqlite_sequence";
COMMIT;
