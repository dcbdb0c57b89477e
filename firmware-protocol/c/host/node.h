/*
 * One simulated microcontroller: the library, a port, a clock that may run wrong, and a program.
 */
#ifndef NODE_H
#define NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "../src/clasp_link.h"
#include "port.h"

typedef struct node node;

/* What the microcontroller is for: its signals and what it does with them. */
typedef struct {
  const clasp_signal *signals;
  uint16_t signal_count;
  /* After every boot. May be NULL, as all of them. */
  void (*start)(node *n);
  void (*on_input)(node *n, uint16_t signal, const clasp_input *input);
  /* Does what is due; returns when there is more to do, ns; UINT64_MAX: never. */
  uint64_t (*tick)(node *n, uint64_t now);
} program;

/* How a program runs; the same for all nodes of the process. */
typedef struct {
  double rate; /* changes a second of each signal */
  bool is_max; /* every signal changes all the time */
} program_options;

typedef struct {
  double temperature;
  uint32_t ticks, pressed_until, next_press, switched;
  bool is_lit;
  double shown[3];
  bool has_shown[3];
} board_state;

typedef struct {
  uint32_t changes;
} bench_state;

enum { TEXTS = 16, TEXT_BYTES = 128, MATCHES = 64, MATCH_BYTES = 256 };

struct node {
  clasp_link link;
  clasp_config config;
  port port;
  char name[20];
  uint8_t uid[8], key[32];
  uint32_t number; /* from 1; 0: the only one of the process */

  const program *program;
  const program_options *options;
  union {
    board_state board;
    bench_state bench;
  } state;

  uint64_t random;
  double drift_ppm;
  uint32_t clock_offset_us;

  uint64_t started_at; /* ns, of this boot */
  uint64_t tick_at, poll_at, active_until;
  uint16_t sleep_seconds; /* as soon as the library can */
  bool is_falling_asleep, is_asleep, is_mute;
  uint64_t polls;

  clasp_value values[CLASP_LINK_SIGNALS]; /* as set or received last */
  bool has_value[CLASP_LINK_SIGNALS];
  char *held[CLASP_LINK_SIGNALS]; /* texts that are the value of a signal */
  char texts[TEXTS][TEXT_BYTES];  /* texts of events under way */
  uint32_t text_count;
  char *patterns[CLASP_LINK_SUBSCRIPTIONS];
  struct {
    uint16_t signal;
    char address[MATCH_BYTES];
  } matches[MATCHES];
  uint32_t match_count;
};

uint64_t now_ns(void);   /* monotonic */
int64_t unix_us(void);
uint32_t local_us(const node *n, uint64_t now); /* the node's own clock */
uint64_t draw(node *n);
double draw_fraction(node *n); /* from 0 to below 1 */

/* Starts what `port`, `program`, `name` … say. */
void node_start(node *n);
/* As by its reset button. */
void node_boot(node *n);
/* Does what is due; returns when there is more to do, ns. */
uint64_t node_run(node *n, uint64_t now);
void node_stop(node *n);

/* Index of a signal by its number or address; -1. */
int find_signal(const node *n, const char *text);
/* For programs: set what changes, and remember it. */
clasp_result node_set(node *n, uint16_t signal, clasp_value value);
clasp_result node_set_float(node *n, uint16_t signal, double value);
clasp_result node_set_int(node *n, uint16_t signal, int64_t value);

extern const program board_program, echo_program;
/* `count` params p0, p1 …; `is_lossy`: sent without acknowledgement. Static: there is one for the process. */
const program *bench_program(uint16_t count, bool is_lossy);

#endif
