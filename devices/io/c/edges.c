#define _GNU_SOURCE
#include "edges.h"

#include <errno.h>

#include "../../process/c/program.h"
#include "messages.h"
#include "outputs.h"

enum { EDGES = 512 };

typedef struct seen {
  line_edge edge;
  uint16_t handle;
} seen;

void edges_read(const struct pollfd *polls, const uint16_t *handles, int count) {
  static seen all[EDGES];
  int found = 0, i, j;
  for (i = 1; i < count; i++) {
    line_edge edges[64];
    uint16_t handle = handles[i];
    int got;
    /* The others have theirs in the next round; the kernel takes a reading of nothing for a mistake. */
    if (found == EDGES) break;
    if (polls[i].revents == 0 || lines[handle].kind == FREE) continue;
    if ((polls[i].revents & POLLIN) == 0 || lines[handle].kind != INPUT) got = -ENODEV;
    else got = line_edges(lines[handle].fd, edges, EDGES - found < 64 ? EDGES - found : 64);
    if (got < 0) {
      tell_failed(handle, -got);
      line_free(handle);
      continue;
    }
    for (j = 0; j < got; j++, found++) {
      int to = found;
      while (to > 0 && all[to - 1].edge.timestamp_ns > edges[j].timestamp_ns) {
        all[to] = all[to - 1];
        to--;
      }
      all[to].edge = edges[j];
      all[to].handle = handle;
    }
  }
  if (found == 0) return;
  begin_message(OUT_TIME);
  put_u64(now_ns());
  send_message();
  for (i = 0; i < found; i++) {
    begin_message(OUT_EDGE);
    put_u16(all[i].handle);
    put_u8(all[i].edge.is_on);
    put_u64(all[i].edge.timestamp_ns);
    put_u32(all[i].edge.sequence);
    send_message();
  }
}
