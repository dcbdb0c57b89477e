/*
 * How the router talks with the programs that it starts beside itself, on their standard input and output. Each message:
 * length of the rest u16, type u8, body. Little-endian; text: length u8, bytes. devices/process/program-messages.ts is the
 * other side. Types that all programs have:
 *
 * | in | body | | out | body |
 * |---|---|---|---|---|
 * | 01 beat | – | | 81 ready | version u8 |
 * | 0c quit | – | | 8c lost | count u32: messages that did not fit, since the last |
 */
#ifndef FRAMING_H
#define FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Without the length. */
enum { MAX_MESSAGE = 8300 };
enum { IN_BEAT = 0x01, IN_QUIT = 0x0c, OUT_READY = 0x81, OUT_LOST = 0x8c };

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
/* Where the next `size` bytes are; NULL: there are fewer. */
const uint8_t *get_bytes(reader *r, size_t size);

/* NOTHING_NEW: there was nothing to read. */
typedef enum arrival { ARRIVED, NOTHING_NEW, SAID_GOODBYE, IS_GONE } arrival;

/* Reads what standard input has, and hands over each message that is complete; `take` gets the body. */
arrival receive_messages(void (*take)(uint8_t type, reader *body));

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
