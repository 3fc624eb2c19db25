BEGIN TRANSACTION;
CREATE TABLE audit (
	n INTEGER NOT NULL, 
	at FLOAT NOT NULL, 
	who VARCHAR(64) NOT NULL, 
	what VARCHAR(64) NOT NULL, 
	subject TEXT NOT NULL, 
	old TEXT NOT NULL, 
	new TEXT NOT NULL, 
	previous VARCHAR(64) NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	PRIMARY KEY (n)
);
CREATE TABLE judgements (
	n INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	station VARCHAR(64) NOT NULL, 
	part VARCHAR(128) NOT NULL, 
	at FLOAT NOT NULL, 
	who VARCHAR(64) NOT NULL, 
	verdict VARCHAR(8) NOT NULL, 
	type TEXT NOT NULL, 
	undone BOOLEAN NOT NULL
);
CREATE TABLE parts (
	n INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	station VARCHAR(64) NOT NULL, 
	part VARCHAR(128) NOT NULL, 
	product TEXT NOT NULL, 
	batch VARCHAR(128) NOT NULL, 
	arrived FLOAT NOT NULL, 
	answered FLOAT NOT NULL, 
	outcome VARCHAR(16) NOT NULL, 
	verdict VARCHAR(8) NOT NULL, 
	judged VARCHAR(8) NOT NULL, 
	late BOOLEAN NOT NULL, 
	score FLOAT, 
	recipe VARCHAR(64) NOT NULL, 
	software TEXT NOT NULL, 
	error TEXT NOT NULL, 
	regions JSON NOT NULL, 
	types JSON NOT NULL, 
	views JSON NOT NULL, 
	seconds JSON NOT NULL, 
	waits BOOLEAN NOT NULL, 
	UNIQUE (station, part)
);
INSERT INTO "parts" VALUES(1,'gears','A 1','','',1.0,2.0,'inspected','review','review',0,0.5,'','','','[]','[]','{}','{}',1);
CREATE TABLE pictures (
	n INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	station VARCHAR(64) NOT NULL, 
	part VARCHAR(128) NOT NULL, 
	"view" VARCHAR(64) NOT NULL, 
	kind VARCHAR(8) NOT NULL, 
	file VARCHAR(64) NOT NULL, 
	size BIGINT NOT NULL, 
	verdict VARCHAR(8) NOT NULL, 
	taken FLOAT NOT NULL, 
	UNIQUE (file)
);
CREATE TABLE schema (
	version INTEGER NOT NULL
);
INSERT INTO "schema" VALUES(1);
CREATE TABLE tokens (
	hash VARCHAR(64) NOT NULL, 
	station VARCHAR(64) NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	PRIMARY KEY (hash), 
	UNIQUE (name)
);
CREATE TABLE users (
	name VARCHAR(64) NOT NULL, 
	role VARCHAR(8) NOT NULL, 
	password TEXT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE INDEX parts_of_recipe ON parts (station, recipe, n);
CREATE INDEX parts_of_batch ON parts (station, batch, n);
CREATE INDEX parts_of_product ON parts (station, product, n);
CREATE INDEX parts_of_verdict ON parts (station, verdict, n);
CREATE INDEX parts_of_station ON parts (station, n);
CREATE INDEX parts_waiting ON parts (waits, n);
CREATE INDEX pictures_of_part ON pictures (station, part);
CREATE INDEX pictures_of_verdict ON pictures (verdict, n, size);
CREATE INDEX judgements_of_part ON judgements (station, part);
CREATE TRIGGER audit_UPDATE BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_DELETE BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('parts',1);
COMMIT;
