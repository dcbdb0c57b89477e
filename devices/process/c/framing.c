#include "framing.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { ROOM = 262144 };

static uint8_t out[ROOM];
static size_t out_start, out_end;
static uint8_t draft[2 + MAX_MESSAGE];
static size_t draft_length;
static uint32_t lost;

uint8_t get_u8(reader *r) {
  if (r->at >= r->end) {
    r->failed = true;
    return 0;
  }
  return *r->at++;
}

uint16_t get_u16(reader *r) {
  uint16_t low = get_u8(r);
  return (uint16_t)(low | get_u8(r) << 8);
}

uint32_t get_u32(reader *r) {
  uint32_t low = get_u16(r);
  return low | (uint32_t)get_u16(r) << 16;
}

void get_text(reader *r, char *text, size_t room) {
  size_t length = get_u8(r);
  memset(text, 0, room);
  if (length >= room || length > (size_t)(r->end - r->at)) {
    r->failed = true;
    return;
  }
  memcpy(text, r->at, length);
  r->at += length;
}

const uint8_t *get_bytes(reader *r, size_t size) {
  const uint8_t *bytes = r->at;
  if (size > (size_t)(r->end - r->at)) {
    r->failed = true;
    return NULL;
  }
  r->at += size;
  return bytes;
}

arrival receive_messages(void (*take)(uint8_t type, reader *body)) {
  static uint8_t buffer[65536];
  static size_t length;
  size_t at = 0;
  ssize_t size = read(STDIN_FILENO, buffer + length, sizeof buffer - length);
  if (size < 0) return errno == EAGAIN || errno == EINTR ? NOTHING_NEW : IS_GONE;
  if (size == 0) return IS_GONE;
  length += (size_t)size;
  while (length - at >= 2) {
    size_t rest = (size_t)(buffer[at] | buffer[at + 1] << 8);
    reader body;
    uint8_t type;
    /* Something else than the router speaks to us. */
    if (rest == 0 || rest > MAX_MESSAGE) return IS_GONE;
    if (length - at < 2 + rest) break;
    type = buffer[at + 2];
    body.at = buffer + at + 3;
    body.end = buffer + at + 2 + rest;
    body.failed = false;
    at += 2 + rest;
    if (type == IN_QUIT) return SAID_GOODBYE;
    if (type != IN_BEAT) take(type, &body);
  }
  memmove(buffer, buffer + at, length - at);
  length -= at;
  return ARRIVED;
}

void begin_message(uint8_t type) {
  draft_length = 2;
  put_u8(type);
}

void put_u8(uint8_t value) {
  if (draft_length < sizeof draft) draft[draft_length++] = value;
}

void put_u16(uint16_t value) {
  put_u8((uint8_t)value);
  put_u8((uint8_t)(value >> 8));
}

void put_u32(uint32_t value) {
  put_u16((uint16_t)value);
  put_u16((uint16_t)(value >> 16));
}

void put_u64(uint64_t value) {
  put_u32((uint32_t)value);
  put_u32((uint32_t)(value >> 32));
}

void put_text(const char *text) {
  size_t length = strlen(text), i;
  if (length > 255) length = 255;
  put_u8((uint8_t)length);
  for (i = 0; i < length; i++) put_u8((uint8_t)text[i]);
}

static bool append(const uint8_t *bytes, size_t length) {
  if (out_end + length > ROOM && out_start > 0) {
    memmove(out, out + out_start, out_end - out_start);
    out_end -= out_start;
    out_start = 0;
  }
  if (out_end + length > ROOM) return false;
  memcpy(out + out_end, bytes, length);
  out_end += length;
  return true;
}

void send_message(void) {
  uint8_t notice[7] = {5, 0, OUT_LOST};
  draft[0] = (uint8_t)(draft_length - 2);
  draft[1] = (uint8_t)((draft_length - 2) >> 8);
  if (lost > 0) {
    int i;
    for (i = 0; i < 4; i++) notice[3 + i] = (uint8_t)(lost >> (8 * i));
    if (append(notice, sizeof notice)) lost = 0;
  }
  if (lost > 0 || !append(draft, draft_length)) lost++;
}

bool flush_messages(void) {
  while (out_start < out_end) {
    ssize_t written = write(STDOUT_FILENO, out + out_start, out_end - out_start);
    if (written < 0) return errno == EAGAIN || errno == EINTR;
    out_start += (size_t)written;
  }
  out_start = out_end = 0;
  return true;
}

bool has_messages(void) { return out_start < out_end; }
