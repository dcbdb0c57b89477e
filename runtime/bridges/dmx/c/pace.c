#include "pace.h"

#include "messages.h"

#define RECORD_NS 1000000000u

static uint64_t last_at, begun_at, shortest, longest;
static uint32_t count;

static uint32_t to_us(uint64_t ns) { return (uint32_t)((ns + 500) / 1000); }

static void tell(uint64_t now) {
  begin_message(OUT_PACE);
  put_u32(count);
  put_u32(to_us(shortest));
  put_u32(to_us((now - begun_at) / count));
  put_u32(to_us(longest));
  send_message();
}

void pace_frame(uint64_t now) {
  if (last_at == 0) {
    begun_at = now;
    count = 0;
  } else {
    uint64_t interval = now - last_at;
    if (count == 0 || interval < shortest) shortest = interval;
    if (count == 0 || interval > longest) longest = interval;
    count++;
    if (now - begun_at >= RECORD_NS) {
      tell(now);
      begun_at = now;
      count = 0;
    }
  }
  last_at = now;
}

void pace_pause(void) { last_at = 0; }
