#include "pace.h"

/* Bytes that come out within this time are looked at together. */
#define GRAIN_NS 250000u

void pace_start(pace *p, uint32_t baud) {
  p->byte_ns = baud == 0 ? 0 : 10000000000u / baud;
  p->last_due = 0;
  p->head = p->count = 0;
}

size_t pace_put(pace *p, const uint8_t *bytes, size_t count, size_t limit, uint64_t now) {
  size_t i;
  if (limit > PACE_BYTES) limit = PACE_BYTES;
  if (p->last_due < now) p->last_due = now;
  for (i = 0; i < count && p->count < limit; i++) {
    uint32_t at = (p->head + p->count++) % PACE_BYTES;
    p->bytes[at] = bytes[i];
    p->due[at] = p->last_due += p->byte_ns;
  }
  return i;
}

size_t pace_ready(const pace *p, uint64_t now, const uint8_t **bytes) {
  uint32_t at = p->head, most = PACE_BYTES - p->head, i;
  if (most > p->count) most = p->count;
  for (i = 0; i < most && p->due[at + i] <= now; i++) continue;
  *bytes = p->bytes + at;
  return i;
}

void pace_drop(pace *p, size_t count) {
  p->head = (uint32_t)((p->head + count) % PACE_BYTES);
  p->count -= (uint32_t)count;
}

uint64_t pace_due(const pace *p) {
  uint64_t together;
  if (p->count == 0) return UINT64_MAX;
  together = GRAIN_NS / p->byte_ns;
  if (together >= p->count) together = p->count - 1;
  return p->due[(p->head + together) % PACE_BYTES];
}
