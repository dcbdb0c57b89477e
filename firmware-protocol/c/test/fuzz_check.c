#include "fuzz_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A block on the line has a code for each 254 bytes of the largest frame; without the larger ones a `mru` would not do. */
enum { BLOCK = 1100, SHA_BYTES = 8 };

static uint8_t block[BLOCK];
static size_t block_length;

static void wrong(const char *what) {
  fprintf(stderr, "the device sent %s\n", what);
  abort();
}

static uint16_t crc16(const uint8_t *bytes, size_t count, uint16_t session) {
  uint16_t crc = (uint16_t)(0xFFFF ^ ((bytes[0] & 0xC0) == 0x80 ? 0 : session));
  while (count-- > 0) {
    int bit;
    crc = (uint16_t)(crc ^ *bytes++);
    for (bit = 0; bit < 8; bit++) crc = (uint16_t)((crc >> 1) ^ ((crc & 1) ? 0x8408 : 0));
  }
  return (uint16_t)~crc;
}

size_t put_serial(uint8_t *wire, const uint8_t *frame, size_t length, uint16_t session) {
  uint16_t crc = crc16(frame, length, session);
  size_t to = 0, code_at, i;
  wire[to++] = 0;
  code_at = to++;
  for (i = 0; i < length + 2; i++) {
    uint8_t byte = i < length ? frame[i] : (uint8_t)(i == length ? crc : crc >> 8);
    if (byte != 0) wire[to++] = byte;
    if (byte == 0 || to - code_at == 255) {
      wire[code_at] = (uint8_t)(to - code_at);
      code_at = to++;
    }
  }
  wire[code_at] = (uint8_t)(to - code_at);
  wire[to++] = 0;
  return to;
}

typedef struct {
  const uint8_t *at, *end;
} reader;

static unsigned take(reader *r, size_t count) {
  unsigned value = 0;
  if ((size_t)(r->end - r->at) < count) wrong("a record that is cut off");
  while (count-- > 0) value = value << 8 | *r->at++;
  return value;
}

static unsigned take_id(reader *r) {
  unsigned first = take(r, 1);
  return first < 0x80 ? first : (first & 0x7F) << 8 | take(r, 1);
}

static void skip(reader *r, size_t count) {
  while (count-- > 0) take(r, 1);
}

static void skip_value(reader *r, unsigned type) {
  static const uint8_t sizes[16] = {0, 1, 1, 2, 4, 8, 4, 8, 255, 255, 255, 255, 1, 2, 0, 0};
  if (type == 8) skip(r, take_id(r));
  else if (sizes[type] == 255) wrong("a value of a type that devices do not send");
  else skip(r, sizes[type]);
}

static void check_records(reader *r, int is_reliable) {
  while (r->at < r->end) {
    unsigned first = take(r, 1), op = first >> 4, type = first & 15, flags;
    if (op == 6) {
      if (type > 3) wrong("a TIME record of an unknown kind");
      skip(r, type == 0 ? 4 : type == 2 ? 0 : 8);
      continue;
    }
    if (op == 9) {
      skip(r, 4);
      continue;
    }
    if (op == 13) {
      take(r, 1);
      skip(r, take(r, 1));
      continue;
    }
    if (op == 11) {
      take(r, 1);
      if (type > 1) wrong("a SUB record of an unknown kind");
      if (type == 1) continue;
      skip(r, take(r, 1));
      skip(r, 2);
      continue;
    }
    if (take_id(r) >= 16384) wrong("an id that is not its own");
    switch (op) {
      case 0:
      case 2:
      case 3: skip_value(r, type); break;
      case 1:
        flags = take(r, 1);
        skip(r, (flags & 1 ? 4 : 0) + (flags & 2 ? 4 : 0));
        skip_value(r, type);
        break;
      case 4: {
        unsigned count = take(r, 1);
        skip(r, 2);
        if (type > 7 && type != 12 && type != 13) wrong("samples of a type that has no fixed size");
        while (count-- > 0) skip_value(r, type);
        break;
      }
      case 5:
        skip(r, 2);
        skip_value(r, type);
        break;
      case 8:
        flags = take(r, 1);
        skip(r, take(r, 1));
        skip(r, flags & 0x20 ? 8 : 0);
        if (flags & 0x40) skip(r, take(r, 1));
        if (flags & 0x80) wrong("a declaration with more than it has");
        break;
      case 10: break;
      default: wrong("a record that devices do not send");
    }
    if (!is_reliable && op != 0 && op != 1 && op != 3 && op != 4) wrong("something unreliably that must arrive");
  }
}

/* CTRL SEQ BODY. */
static void check_frame(const uint8_t *frame, size_t length) {
  reader r;
  r.at = frame + 2;
  r.end = frame + length;
  if (length < 2) wrong("a frame without a head");
  if ((frame[0] & 0xC0) == 0xC0) wrong("a frame of the reserved class");
  if ((frame[0] & 0xC0) == 0x80) {
    if ((frame[1] & 0xF0) != 0) wrong("a control frame with a number");
    return;
  }
  if ((frame[0] & 0x0F) != 0) wrong("a data frame with reserved bits");
  if (r.at == r.end) wrong("an empty data frame");
  check_records(&r, (frame[0] & 0xC0) == 0x40);
}

static void check_block(uint16_t mru, uint16_t session) {
  uint8_t frame[BLOCK];
  size_t from = 0, length = 0;
  while (from < block_length) {
    size_t code = block[from++], i;
    if (from + code - 1 > block_length) wrong("a code that points behind its block");
    for (i = 1; i < code; i++) frame[length++] = block[from++];
    if (code < 255 && from < block_length) frame[length++] = 0;
  }
  if (length < 4) wrong("a frame that is too short");
  if (length > mru) wrong("a frame that is too long for the router");
  length -= 2;
  if (crc16(frame, length, session) != (frame[length] | frame[length + 1] << 8)) wrong("a frame with a wrong check");
  check_frame(frame, length);
}

void check_serial(const uint8_t *bytes, size_t count, uint16_t mru, uint16_t session) {
  while (count-- > 0) {
    if (*bytes == 0) {
      if (block_length > 0) check_block(mru, session);
      block_length = 0;
    } else {
      if (block_length == BLOCK) wrong("a block without an end");
      block[block_length++] = *bytes;
    }
    bytes++;
  }
}

void forget_line(void) { block_length = 0; }

void check_datagram(const uint8_t *bytes, size_t count, uint16_t mru, int is_short) {
  size_t head = is_short ? 2 : 10, tail;
  if (count < head + 2 || bytes[0] != 0x0C || bytes[1] >> 4 != 1) wrong("what is no datagram of the link");
  if (((bytes[1] & 2) != 0) != (is_short != 0)) wrong("a head of the other form");
  tail = bytes[1] & 1 ? SHA_BYTES : 0;
  if (count < head + 2 + tail) wrong("a datagram without a frame");
  /* The check that serial frames have counts, as if it were there. */
  if (count - head - tail + 2 > mru && (bytes[head] & 0xCF) != 0x82) wrong("a datagram that is too long for the router");
  check_frame(bytes + head, count - head - tail);
}
