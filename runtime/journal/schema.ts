/**
 * The tables of `journal.db`. Texts are stored once and named by number, records are packed (`stored-record.ts`), and no
 * table but the keys has an index: every page that a commit touches is a write to flash. Every row carries a CRC-32 of
 * its contents and its key, because SQLite does not notice a flipped bit inside a page.
 *
 * | table | row |
 * |---|---|
 * | meta | small texts by name: `clean`, `era`, `forgotten`, and those of others behind `:` |
 * | addresses, authors | text by number |
 * | params | newest state of an address, by the number of the address; a removed one stays as a tombstone |
 * | entries | history; seq rises by one and is never reused |
 * | blocks | earliest and latest time of 4096 entries, once they are complete (`time-blocks.ts`) |
 * | events | what waits for the hub |
 */
export const SCHEMA = `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL, sum INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE addresses (id INTEGER PRIMARY KEY, text TEXT NOT NULL, sum INTEGER NOT NULL);
  CREATE TABLE authors (id INTEGER PRIMARY KEY, text TEXT NOT NULL, sum INTEGER NOT NULL);
  CREATE TABLE params (id INTEGER PRIMARY KEY, record BLOB NOT NULL);
  CREATE TABLE entries (seq INTEGER PRIMARY KEY, address INTEGER NOT NULL, time INTEGER NOT NULL, record BLOB NOT NULL);
  CREATE TABLE blocks (id INTEGER PRIMARY KEY, oldest INTEGER NOT NULL, newest INTEGER NOT NULL, sum INTEGER NOT NULL);
  CREATE TABLE events (id INTEGER PRIMARY KEY, expires INTEGER NOT NULL, frame BLOB NOT NULL, sum INTEGER NOT NULL);
`

/** PRAGMA user_version; a file with a greater one was written by a newer program. */
export const SCHEMA_VERSION = 1
/** PRAGMA application_id: "CLJ1". */
export const APPLICATION_ID = 0x434c4a31

export const PAGE_BYTES = 4096
