#include "guards.h"

#include <errno.h>
#include <string.h>

#include "messages.h"
#include "transfer.h"

/* SHORT_BYTES: longer ones, such as the text of a screen, wait until the others are written. */
enum { MAX_GUARDS = 32, GUARD_BYTES = 2048, SHORT_BYTES = 128 };

/* Each write: length u16, bytes. */
typedef struct guard {
  bool is_set, is_owed;
  uint8_t address;
  uint16_t size;
  uint8_t writes[GUARD_BYTES];
} guard;

static guard guards[MAX_GUARDS];

static guard *find_guard(uint8_t address) {
  size_t i;
  for (i = 0; i < MAX_GUARDS; i++)
    if (guards[i].is_set && guards[i].address == address) return &guards[i];
  return NULL;
}

static guard *free_guard(void) {
  size_t i;
  for (i = 0; i < MAX_GUARDS; i++)
    if (!guards[i].is_set) return &guards[i];
  return NULL;
}

static const uint8_t *next_write(reader *r, uint16_t *size) {
  *size = get_u16(r);
  return get_bytes(r, *size);
}

int guard_set(uint8_t address, reader *body) {
  reader check = *body;
  size_t size = (size_t)(body->end - body->at);
  uint16_t length;
  guard *g = find_guard(address);
  if (size > GUARD_BYTES) return -EMSGSIZE;
  while (check.at < check.end && !check.failed) next_write(&check, &length);
  if (check.failed || body->failed) return -EBADMSG;
  if (g == NULL) g = free_guard();
  if (g == NULL) return -ENOSPC;
  g->is_set = true;
  g->address = address;
  g->size = (uint16_t)size;
  memcpy(g->writes, body->at, size);
  return 0;
}

void guard_drop(uint8_t address) {
  guard *g = find_guard(address);
  if (g != NULL) g->is_set = g->is_owed = false;
}

bool is_guarded(uint8_t address) { return find_guard(address) != NULL; }

bool has_guards(void) {
  size_t i;
  for (i = 0; i < MAX_GUARDS; i++)
    if (guards[i].is_set) return true;
  return false;
}

static int write_all(guard *g) {
  reader r;
  int result = 0;
  r.at = g->writes;
  r.end = g->writes + g->size;
  r.failed = false;
  while (r.at < r.end && result == 0) {
    uint16_t size;
    const uint8_t *bytes = next_write(&r, &size);
    result = transfer(g->address, bytes, size, NULL, 0);
  }
  g->is_owed = result < 0;
  return result;
}

static void step_in(bool is_short) {
  size_t i;
  for (i = 0; i < MAX_GUARDS; i++) {
    int result;
    if (!guards[i].is_set || (guards[i].size <= SHORT_BYTES) != is_short) continue;
    result = write_all(&guards[i]);
    begin_message(OUT_FORCED);
    put_u8(guards[i].address);
    put_u32((uint32_t)-result);
    send_message();
  }
}

void guards_step_in(void) {
  step_in(true);
  step_in(false);
}

bool guards_owe(void) {
  size_t i;
  for (i = 0; i < MAX_GUARDS; i++)
    if (guards[i].is_owed) return true;
  return false;
}

void guards_try_again(void) {
  size_t i;
  for (i = 0; i < MAX_GUARDS; i++)
    if (guards[i].is_owed) write_all(&guards[i]);
}

void guards_step_back(void) {
  size_t i;
  for (i = 0; i < MAX_GUARDS; i++) guards[i].is_owed = false;
}
