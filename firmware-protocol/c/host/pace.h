/*
 * A serial line's speed: bytes that were put in come out one after the other, ten bits apart. For one direction.
 */
#ifndef PACE_H
#define PACE_H

#include <stddef.h>
#include <stdint.h>

enum { PACE_BYTES = 1024 };

typedef struct {
  uint64_t byte_ns;  /* 0: no pace, do not use it */
  uint64_t last_due; /* when the last byte that was put in comes out */
  uint8_t bytes[PACE_BYTES];
  uint64_t due[PACE_BYTES];
  uint32_t head, count;
} pace;

/* Forgets what is under way. `baud` 0: no pace. */
void pace_start(pace *p, uint32_t baud);
/* Takes up to `count` bytes while fewer than `limit` (up to PACE_BYTES) are under way; returns how many. */
size_t pace_put(pace *p, const uint8_t *bytes, size_t count, size_t limit, uint64_t now);
/* Bytes that have come out, in one piece from *bytes on; `pace_drop` makes them go. */
size_t pace_ready(const pace *p, uint64_t now, const uint8_t **bytes);
void pace_drop(pace *p, size_t count);
/* When it is worth looking again; UINT64_MAX: nothing is under way. */
uint64_t pace_due(const pace *p);

#endif
