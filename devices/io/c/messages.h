/*
 * What clasp-io is told on standard input and tells on standard output. Each message: length of the rest u16, type u8,
 * body. Little-endian; text: length u8, bytes. Handles are chosen by the other side, 0…255. The same table is in
 * devices/io/holder-messages.ts.
 *
 * | in | body |
 * |---|---|
 * | 01 beat | – |
 * | 02 list | – |
 * | 03 input | handle u16, chip text, consumer text, offset u32, flags u32, debounce us u32 |
 * | 04 output | handle u16, chip text, consumer text, offset u32, flags u32, on u8, safe u8 (off, on, hold, release), longest
 * |           | on ms u32, interlock u8 (0 none), reject u8, dead time ms u32 |
 * | 05 guard | handle u16, path text, safe text; again: another safe text |
 * | 06 close | handle u16 |
 * | 07 set | handle u16, on u8 |
 * | 08 read | handle u16 |
 * | 09 strobe | handle u16, us u16 |
 * | 0a pulses | handle u16, count u32, period us u32 |
 * | 0b resume | – |
 * | 0c quit | – |
 *
 * | out | body |
 * |---|---|
 * | 81 ready | version u8 |
 * | 82 line | chip text, label text, offset u32, name text, consumer text |
 * | 83 listed | errno u32 |
 * | 84 opened | handle u16, on u8 |
 * | 85 failed | handle u16, errno u32 |
 * | 86 edge | handle u16, on u8, ns u64, sequence u32 |
 * | 87 level | handle u16, on u8 |
 * | 88 forced | handle u16, on u8, reason u8 (1 longest on, 2 watchdog, 3 interlock) |
 * | 89 time | ns u64: now, ahead of edges |
 * | 8a closed | handle u16 |
 * | 8b done | handle u16 |
 * | 8c lost | count u32: messages that did not fit, since the last |
 */
#ifndef MESSAGES_H
#define MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VERSION = 1, MAX_MESSAGE = 600 };
enum { IN_BEAT = 1, IN_LIST, IN_INPUT, IN_OUTPUT, IN_GUARD, IN_CLOSE, IN_SET, IN_READ, IN_STROBE, IN_PULSES, IN_RESUME, IN_QUIT };
enum {
  OUT_READY = 0x81, OUT_LINE, OUT_LISTED, OUT_OPENED, OUT_FAILED, OUT_EDGE, OUT_LEVEL, OUT_FORCED, OUT_TIME, OUT_CLOSED,
  OUT_DONE, OUT_LOST
};

/* Reads a body; past its end everything is 0 and `failed` is set. */
typedef struct reader {
  const uint8_t *at, *end;
  bool failed;
} reader;

uint8_t get_u8(reader *r);
uint16_t get_u16(reader *r);
uint32_t get_u32(reader *r);
/* Always ends `text` with 0; one that has no room fails. */
void get_text(reader *r, char *text, size_t room);

/* `put_*` between begin_message and send_message. What has no room is dropped and told of by OUT_LOST. */
void begin_message(uint8_t type);
void put_u8(uint8_t value);
void put_u16(uint16_t value);
void put_u32(uint32_t value);
void put_u64(uint64_t value);
void put_text(const char *text);
void send_message(void);
/* Writes what standard output takes. False: nobody reads it any more. */
bool flush_messages(void);
bool has_messages(void);

#endif
