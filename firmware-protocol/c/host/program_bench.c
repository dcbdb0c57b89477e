/*
 * Params that change all the time, together: a load.
 */
#include <stdio.h>
#include <string.h>

#include "node.h"

static uint64_t tick(node *n, uint64_t now) {
  uint16_t i;
  float value = (float)(++n->state.bench.changes % 1000000u);
  for (i = 0; i < n->program->signal_count; i++) node_set_float(n, i, value + (float)i);
  if (n->options->is_max) return now + 1000000u;
  /* From the start of the boot on, so that the rate holds however late each round is. */
  return n->started_at + (uint64_t)((double)n->state.bench.changes * 1e9 / n->options->rate);
}

const program *bench_program(uint16_t count, bool is_lossy) {
  static clasp_signal signals[CLASP_LINK_SIGNALS];
  static program bench = {signals, 0, NULL, NULL, tick};
  uint16_t i;
  memset(signals, 0, sizeof signals);
  for (i = 0; i < count; i++) {
    snprintf(signals[i].address, sizeof signals[i].address, "p%u", (unsigned)i);
    signals[i].type = CLASP_F32;
    signals[i].flags = CLASP_PARAM | CLASP_OUT;
    if (is_lossy) signals[i].flags |= CLASP_LOSSY;
  }
  bench.signal_count = count;
  return &bench;
}
