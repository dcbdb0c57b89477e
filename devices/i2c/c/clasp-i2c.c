/*
 * clasp-i2c: one I2C bus for the router, in a process of its own: a bus that hangs in the kernel stops nobody else. When the
 * router ends (standard input closes) or says nothing for the watchdog's time, what it has left with the guards is written.
 *
 *   clasp-i2c BUS [--watchdog MS] [--linger MS]
 *
 * BUS: /dev/i2c-1. --watchdog: silence after which the guards step in, default 90. --linger: how long what a chip did not
 * take is tried again after the router has gone, default 3000; until then its successor cannot guard outputs.
 * Messages: messages.h. Ends with 0, with 1 when the bus cannot be opened, or with 2 when it is called wrongly.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "../../process/c/program.h"
#include "bus.h"
#include "guards.h"
#include "messages.h"
#include "transfer.h"

#define AGAIN_NS (50 * (uint64_t)MS)

static uint64_t heard_at, again_at;
/* The router says nothing. */
static bool is_silent;
/* The guards have stepped in because of it; guarded chips are left alone until the router has said that it knows. */
static bool is_latched;
/* Nobody else guards outputs on this bus. */
static bool is_claimed;

static void tell_errno(uint8_t type, int result) {
  begin_message(type);
  put_u32((uint32_t)-result);
  send_message();
}

static void run_transfer(uint8_t address, reader *r) {
  static uint8_t in[MAX_TRANSFER];
  uint16_t in_size = get_u16(r), i;
  size_t out_size = (size_t)(r->end - r->at);
  int result;
  if (r->failed || in_size > MAX_TRANSFER || out_size > MAX_TRANSFER) result = -EMSGSIZE;
  else if (is_latched && is_guarded(address)) result = -ECANCELED;
  else result = transfer(address, r->at, (uint16_t)out_size, in, in_size);
  begin_message(OUT_DONE);
  put_u32((uint32_t)-result);
  for (i = 0; i < in_size && result == 0; i++) put_u8(in[i]);
  send_message();
}

static int set_guard(uint8_t address, reader *r) {
  int result = is_claimed ? 0 : bus_claim();
  if (result < 0) return result;
  is_claimed = true;
  return guard_set(address, r);
}

static void take(uint8_t type, reader *r) {
  uint8_t address = get_u8(r);
  switch (type) {
    case IN_TRANSFER: run_transfer(address, r); break;
    case IN_PROBE: tell_errno(OUT_DONE, probe(address)); break;
    case IN_GUARD: tell_errno(OUT_GUARDED, set_guard(address, r)); break;
    case IN_UNGUARD:
      guard_drop(address);
      tell_errno(OUT_GUARDED, 0);
      break;
    case IN_RESUME:
      is_latched = false;
      guards_step_back();
      break;
    default: break;
  }
}

static void fall_safe(void) {
  is_silent = true;
  is_latched = true;
  guards_step_in();
  again_at = now_ns() + AGAIN_NS;
}

static void pass(struct pollfd *polls, uint64_t next) {
  uint64_t now = now_ns();
  struct timespec timeout;
  timeout.tv_sec = (time_t)(next > now ? (next - now) / 1000000000u : 0);
  timeout.tv_nsec = (long)(next > now ? (next - now) % 1000000000u : 0);
  polls[0].fd = STDIN_FILENO;
  polls[0].events = POLLIN;
  polls[1].fd = has_messages() ? STDOUT_FILENO : -1;
  polls[1].events = POLLOUT;
  if (ppoll(polls, 2, next == 0 ? NULL : &timeout, NULL) < 0) polls[0].revents = 0;
}

/* How it ended. */
static arrival run(void) {
  for (;;) {
    struct pollfd polls[2];
    bool watches = !is_silent && has_guards(), owes = is_latched && guards_owe();
    if (!flush_messages()) return IS_GONE;
    pass(polls, owes ? again_at : watches ? heard_at + watchdog_ns : 0);
    /* What came while a transaction took its time counts before the silence does. */
    if (polls[0].revents != 0) {
      arrival state = receive_messages(take);
      if (state == SAID_GOODBYE || state == IS_GONE) return state;
      if (state == ARRIVED) {
        heard_at = now_ns();
        is_silent = false;
      }
    }
    if (!is_silent && has_guards() && now_ns() >= heard_at + watchdog_ns) fall_safe();
    if (is_latched && guards_owe() && now_ns() >= again_at) {
      guards_try_again();
      again_at = now_ns() + AGAIN_NS;
    }
  }
}

int main(int argc, char **argv) {
  int result;
  uint64_t until;
  if (argc < 2 || argv[1][0] == '-' || !read_options(argc, argv, 2)) {
    fprintf(stderr, "usage: clasp-i2c BUS [--watchdog MS] [--linger MS]\n");
    return 2;
  }
  begin_program(VERSION);
  result = bus_open(argv[1], &bus_functions);
  tell_errno(OUT_OPENED, result);
  heard_at = now_ns();
  if (result < 0) {
    flush_messages();
    return 1;
  }
  run();
  guards_step_in();
  /* The chips keep what they were told: once it is written nobody has to stay. */
  for (until = now_ns() + linger_ns; guards_owe() && now_ns() < until; guards_try_again()) sleep_ns(AGAIN_NS);
  return 0;
}
