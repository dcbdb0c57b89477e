/*
 * Lines that all have more edges than one reading takes, as the kernel would tell them: a reading without room is refused
 * with EINVAL. Prints how many lines are left after one round.
 */
#include <errno.h>
#include <stdio.h>

#include "../../devices/io/c/edges.h"
#include "../../devices/io/c/outputs.h"

enum { INPUTS = 12 };

int line_edges(int fd, line_edge *edges, int room) {
  int i;
  (void)fd;
  if (room == 0) return -EINVAL;
  for (i = 0; i < room; i++) {
    edges[i].timestamp_ns = (uint64_t)i;
    edges[i].sequence = (uint32_t)i;
    edges[i].is_on = i % 2 == 0;
  }
  return room;
}

int line_get(int fd, const line_spec *spec) { return (void)fd, (void)spec, 0; }
int line_set(int fd, const line_spec *spec, bool is_on) { return (void)fd, (void)spec, (void)is_on, 0; }
int line_release(int fd, const line_spec *spec) { return (void)fd, (void)spec, -EINVAL; }
int line_drive(int fd, const line_spec *spec, bool is_on) { return (void)fd, (void)spec, (void)is_on, 0; }
void line_close(int fd) { (void)fd; }

int main(void) {
  struct pollfd polls[INPUTS + 1];
  uint16_t handles[INPUTS + 1];
  int i, left = 0;
  for (i = 1; i <= INPUTS; i++) {
    lines[i].kind = INPUT;
    handles[i] = (uint16_t)i;
    polls[i].revents = POLLIN;
  }
  edges_read(polls, handles, INPUTS + 1);
  for (i = 1; i <= INPUTS; i++) left += lines[i].kind == INPUT;
  printf("%d\n", left);
  /* A chip that cannot release its lines: off is what is left. */
  lines[0].kind = OUTPUT;
  lines[0].is_on = true;
  lines[0].safe = SAFE_RELEASE;
  line_safe(0);
  printf("%d\n", lines[0].is_on);
  return 0;
}
