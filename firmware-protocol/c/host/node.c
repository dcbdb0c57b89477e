#define _GNU_SOURCE
#include "node.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report.h"

#define MS 1000000u
/* The library's shortest time-out is 5 ms: after something moved it is asked every millisecond for a little longer. */
#define ACTIVE_NS (8u * MS)
#define IDLE_NS (10u * MS)
#define ASLEEP_NS (200u * MS)
/* Frames in one round while the line takes them, where signals change all the time. */
#define ROUNDS 16

uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int64_t unix_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

uint32_t local_us(const node *n, uint64_t now) {
  uint64_t us = now / 1000u;
  return (uint32_t)(us + (uint64_t)(int64_t)((double)us * n->drift_ppm / 1e6)) + n->clock_offset_us;
}

/* splitmix64 */
uint64_t draw(node *n) {
  uint64_t x = n->random += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

double draw_fraction(node *n) { return (double)(draw(n) >> 11) * 0x1p-53; }

static size_t write_port(void *context, const uint8_t *bytes, size_t count) {
  return port_write(&((node *)context)->port, bytes, count);
}

static size_t read_port(void *context, uint8_t *bytes, size_t room) { return port_read(&((node *)context)->port, bytes, room); }

static void set_baud(void *context, uint32_t baud) {
  node *n = context;
  port_set_baud(&n->port, baud);
  report_baud(n, n->port.baud);
}

static void remember(node *n, uint16_t signal, clasp_value value) {
  n->values[signal] = value;
  n->has_value[signal] = true;
}

static void on_input(void *context, uint16_t signal, const clasp_input *input) {
  node *n = context;
  if (signal < n->program->signal_count && input->type != CLASP_STRING && input->type != CLASP_BYTES)
    remember(n, signal, input->value);
  report_input(n, signal, input);
  if (n->program->on_input != NULL) n->program->on_input(n, signal, input);
}

static void on_match(void *context, uint16_t signal, const char *address, uint8_t length) {
  node *n = context;
  uint32_t at = 0;
  while (at < n->match_count && n->matches[at].signal != signal) at++;
  if (at < MATCHES) {
    n->matches[at].signal = signal;
    memcpy(n->matches[at].address, address, length);
    n->matches[at].address[length] = 0;
    if (at == n->match_count) n->match_count++;
  }
  report_match(n, signal, address, length);
}

static void on_state(void *context, clasp_state state) { report_state(context, state); }
static void on_refused(void *context, uint16_t signal, uint16_t code) { report_refused(context, signal, code); }

void node_start(node *n) {
  clasp_config *c = &n->config;
  c->name = n->name;
  c->uid = n->uid;
  c->signals = n->program->signals;
  c->signal_count = n->program->signal_count;
  c->baud = n->port.base_baud;
  c->context = n;
  c->write = write_port;
  c->read = read_port;
  c->set_baud = set_baud;
  c->on_input = on_input;
  c->on_state = on_state;
  c->on_match = on_match;
  c->on_refused = on_refused;
  n->clock_offset_us = (uint32_t)draw(n);
  port_start(&n->port);
  node_boot(n);
}

void node_boot(node *n) {
  uint64_t now = now_ns();
  uint32_t i;
  if (n->port.baud != n->port.base_baud) port_set_baud(&n->port, 0);
  memset(n->has_value, 0, sizeof n->has_value);
  memset(&n->state, 0, sizeof n->state);
  for (i = 0; i < CLASP_LINK_SUBSCRIPTIONS; i++) {
    free(n->patterns[i]);
    n->patterns[i] = NULL;
  }
  n->match_count = 0;
  n->is_asleep = n->is_falling_asleep = n->is_mute = false;
  n->started_at = n->poll_at = now;
  n->tick_at = n->program->tick != NULL ? now : UINT64_MAX;
  clasp_init(&n->link, &n->config, (uint32_t)draw(n), local_us(n, now));
  if (n->program->start != NULL) n->program->start(n);
}

/* The end of this millisecond: so that many nodes wake the process together. */
static uint64_t rounded_up(uint64_t at) { return at > UINT64_MAX - MS ? at : (at + MS - 1) / MS * MS; }

static void poll_link(node *n) {
  clasp_poll(&n->link, local_us(n, now_ns()));
  n->polls++;
  if (!n->is_falling_asleep || clasp_sleep(&n->link, n->sleep_seconds) != CLASP_OK) return;
  n->is_falling_asleep = false;
  n->is_asleep = true;
  report_asleep(n);
}

uint64_t node_run(node *n, uint64_t now) {
  uint64_t due, port_at;
  uint32_t round = 0;
  port_service(&n->port, now);
  if (n->is_mute || n->is_asleep) {
    n->poll_at = now + ASLEEP_NS;
  } else {
    do {
      if (n->program->tick != NULL && (now >= n->tick_at || n->options->is_max)) n->tick_at = n->program->tick(n, now);
      n->port.has_moved = false;
      poll_link(n);
      if (n->port.has_moved) n->active_until = now + ACTIVE_NS;
      /* Without a pace the line takes whatever comes: then once a round. */
    } while (n->options->is_max && n->port.has_moved && n->port.out.byte_ns != 0 && ++round < ROUNDS);
    n->poll_at = now + (now < n->active_until ? MS : IDLE_NS);
  }
  due = n->poll_at;
  if (!n->is_mute && !n->is_asleep && n->tick_at < due) due = n->tick_at;
  due = rounded_up(due);
  port_at = port_due(&n->port);
  return port_at < due ? port_at : due;
}

void node_stop(node *n) { port_unplug(&n->port); }

int find_signal(const node *n, const char *text) {
  char *end;
  unsigned long number = strtoul(text, &end, 10);
  uint16_t i;
  if (*text != 0 && *end == 0) return number < n->program->signal_count ? (int)number : -1;
  for (i = 0; i < n->program->signal_count; i++)
    if (strcmp(n->program->signals[i].address, text) == 0) return i;
  return -1;
}

clasp_result node_set(node *n, uint16_t signal, clasp_value value) {
  remember(n, signal, value);
  n->active_until = now_ns() + ACTIVE_NS;
  n->poll_at = 0;
  return clasp_set(&n->link, signal, value);
}

clasp_result node_set_float(node *n, uint16_t signal, double value) {
  clasp_value v;
  memset(&v, 0, sizeof v);
  if (n->program->signals[signal].type == CLASP_F64) v.f64 = value;
  else v.f = (float)value;
  return node_set(n, signal, v);
}

clasp_result node_set_int(node *n, uint16_t signal, int64_t value) {
  clasp_value v;
  memset(&v, 0, sizeof v);
  if (n->program->signals[signal].type == CLASP_I64) v.i64 = value;
  else v.i = (int32_t)value;
  return node_set(n, signal, v);
}
