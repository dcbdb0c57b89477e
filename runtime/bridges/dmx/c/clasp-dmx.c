/*
 * clasp-dmx: DMX512 at a serial port whose host makes break and timing (Open DMX, FTDI, UART), in a process of its own: the
 * router's pauses make no gaps on the line. When the router ends (standard input closes) or says nothing for the watchdog's
 * time, the levels that it left for that are sent, or nothing more.
 *
 *   clasp-dmx PORT [--watchdog MS] [--linger MS]
 *
 * --watchdog: silence after which the router counts as hung, default 90. --linger: how long the last levels are sent when it
 * has gone without a goodbye, default 3000; until then its successor finds the port busy.
 * Messages: messages.h. Ends with 0, with 1 when the port cannot be opened or has gone, or with 2 when it is called wrongly.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../../../devices/process/c/program.h"
#include "dmx_port.h"
#include "messages.h"
#include "pace.h"
#include "priority.h"

#define US 1000u
enum { MAX_SLOTS = 512 };
/* E1.11: from break to break, and longest break and mark. */
enum { MIN_PERIOD_US = 1204, MAX_US = 1000000 };
/* Receivers that miss a frame get two more. */
enum { FAREWELL_FRAMES = 3 };
#define FAREWELL_PERIOD_NS (50 * (uint64_t)MS)

typedef struct levels {
  uint8_t slots[MAX_SLOTS];
  uint16_t count;
} levels;

static const char *path;
static int port = -1;
/* Of the port or of its opening; 0: none. */
static int failure;
static bool is_input, cannot_break;
static uint64_t period_ns, break_ns, mark_ns;
static levels wanted, last;
/* Start code and slots of the frame on its way; what has been taken of it. */
static uint8_t frame[1 + MAX_SLOTS];
static uint16_t frame_size, frame_taken;
static bool is_sending;
static uint64_t due_at;
static uint64_t heard_at;
static bool is_silent;

static void tell_errno(uint8_t type, int error) {
  begin_message(type);
  put_u32((uint32_t)error);
  send_message();
}

static void open_port(reader *r) {
  uint8_t flags = get_u8(r);
  uint32_t period = get_u32(r), break_us = get_u32(r), mark_us = get_u32(r);
  bool is_wrong = r->failed || period < MIN_PERIOD_US || period > MAX_US || break_us > MAX_US || mark_us > MAX_US;
  int result;
  if (port >= 0) return;
  result = is_wrong ? -EBADMSG : dmx_port_open(path, flags);
  tell_errno(OUT_OPENED, result < 0 ? -result : 0);
  if (result < 0) {
    failure = -result;
    return;
  }
  port = result;
  is_input = (flags & PORT_INPUT) != 0;
  period_ns = period * (uint64_t)US;
  break_ns = break_us * (uint64_t)US;
  mark_ns = mark_us * (uint64_t)US;
}

static void get_levels(levels *to, reader *r) {
  size_t size = (size_t)(r->end - r->at);
  to->count = (uint16_t)(size > MAX_SLOTS ? MAX_SLOTS : size);
  memcpy(to->slots, r->at, to->count);
}

static void start_sending(void) {
  if (is_sending || wanted.count == 0) return;
  is_sending = true;
  due_at = now_ns();
  pace_pause();
}

static void take(uint8_t type, reader *r) {
  switch (type) {
    case IN_OPEN: open_port(r); break;
    case IN_LEVELS:
      get_levels(&wanted, r);
      start_sending();
      break;
    case IN_LAST: get_levels(&last, r); break;
    default: break;
  }
}

static void rest_until(uint64_t at) {
  struct timespec t;
  t.tv_sec = (time_t)(at / 1000000000u);
  t.tv_nsec = (long)(at % 1000000000u);
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) continue;
}

/* What the port does not take at once goes out when it has room. */
static void write_rest(void) {
  while (frame_taken < frame_size) {
    ssize_t written = write(port, frame + frame_taken, (size_t)(frame_size - frame_taken));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno != EAGAIN) {
      failure = errno;
      return;
    }
    if (written <= 0) {
      /* A driver that says that it has room, and has none, must not take all of a processor. */
      rest_until(now_ns() + MS);
      return;
    }
    frame_taken = (uint16_t)(frame_taken + written);
  }
}

static bool is_written(void) { return frame_taken == frame_size; }

static void make_break(void) {
  int result = dmx_port_break(port, true);
  uint64_t now = now_ns();
  if (result == 0) {
    rest_until(now + break_ns);
    result = dmx_port_break(port, false);
    rest_until(now_ns() + mark_ns);
  }
  if (result == -EIO || result == -ENODEV || result == -ENXIO) failure = -result;
  else if (result < 0 && !cannot_break) {
    cannot_break = true;
    tell_errno(OUT_NO_BREAK, -result);
  }
}

static void send_frame(void) {
  uint64_t now;
  failure = -dmx_port_drain(port);
  if (failure != 0) return;
  now = now_ns();
  pace_frame(now);
  /* No frames in a burst after a delay. */
  due_at = now > due_at + period_ns ? now + period_ns : due_at + period_ns;
  make_break();
  if (failure != 0) return;
  frame[0] = 0;
  memcpy(frame + 1, wanted.slots, wanted.count);
  frame_size = (uint16_t)(1 + wanted.count);
  frame_taken = 0;
  write_rest();
}

static void read_input(void) {
  uint8_t bytes[2048];
  ssize_t size = read(port, bytes, sizeof bytes), i;
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) {
    failure = size < 0 ? errno : EIO;
    return;
  }
  begin_message(OUT_INPUT);
  for (i = 0; i < size; i++) put_u8(bytes[i]);
  send_message();
}

/* Without levels for the end the line falls silent after the frame on its way; one that nothing was sent on stays so. */
static void use_last(void) {
  if (!is_sending) return;
  is_sending = false;
  wanted = last;
  start_sending();
}

static void fall_silent(void) {
  is_silent = true;
  use_last();
  begin_message(OUT_SILENT);
  send_message();
}

/* Waits for messages, room at the port, or that time; `next` 0: no time. */
static void pass(struct pollfd *polls, uint64_t next) {
  uint64_t now = now_ns();
  struct timespec timeout;
  timeout.tv_sec = (time_t)(next > now ? (next - now) / 1000000000u : 0);
  timeout.tv_nsec = (long)(next > now ? (next - now) % 1000000000u : 0);
  polls[1].events = has_messages() ? POLLOUT : 0;
  polls[2].fd = port;
  polls[2].events = (short)((is_input ? POLLIN : 0) | (is_written() ? 0 : POLLOUT));
  if (ppoll(polls, 3, next == 0 ? NULL : &timeout, NULL) < 0) polls[0].revents = polls[2].revents = 0;
}

static void serve_port(short revents) {
  if (revents & POLLIN) read_input();
  else if (revents & (POLLHUP | POLLERR | POLLNVAL)) failure = EIO;
  if (failure == 0 && !is_written()) write_rest();
  if (failure == 0 && is_sending && is_written() && now_ns() >= due_at) send_frame();
}

/* How it ended; NOTHING_NEW: the port failed. */
static arrival run(void) {
  struct pollfd polls[3] = {{STDIN_FILENO, POLLIN, 0}, {STDOUT_FILENO, 0, 0}, {-1, 0, 0}};
  while (failure == 0) {
    bool watches = !is_silent && is_sending;
    uint64_t next = is_sending && is_written() ? due_at : 0;
    if (watches && (next == 0 || heard_at + watchdog_ns < next)) next = heard_at + watchdog_ns;
    if (!flush_messages()) return IS_GONE;
    pass(polls, next);
    /* What came while this process did not run counts before the silence does. */
    if (polls[0].revents != 0) {
      arrival state = receive_messages(take);
      if (state == SAID_GOODBYE || state == IS_GONE) return state;
      if (state == ARRIVED) {
        heard_at = now_ns();
        is_silent = false;
      }
    }
    if (watches && now_ns() >= heard_at + watchdog_ns) fall_silent();
    if (port >= 0 && failure == 0) serve_port(polls[2].revents);
  }
  return NOTHING_NEW;
}

/* Nobody listens any more: the last levels go out for that long. */
static void say_farewell(uint64_t until) {
  struct pollfd poll_port = {-1, POLLOUT, 0};
  poll_port.fd = port;
  use_last();
  while (failure == 0 && now_ns() < until && (is_sending || !is_written())) {
    if (is_written()) rest_until(due_at < until ? due_at : until);
    else poll(&poll_port, 1, 10);
    serve_port(0);
  }
  if (is_written() && failure == 0) dmx_port_drain(port);
}

int main(int argc, char **argv) {
  arrival end;
  if (argc < 2 || argv[1][0] == '-' || !read_options(argc, argv, 2)) {
    fprintf(stderr, "usage: clasp-dmx PORT [--watchdog MS] [--linger MS]\n");
    return 2;
  }
  path = argv[1];
  begin_program(VERSION);
  begin_message(OUT_PRIORITY);
  put_u8(take_priority());
  send_message();
  heard_at = now_ns();
  end = run();
  if (end == NOTHING_NEW) {
    if (port >= 0) tell_errno(OUT_FAILED, failure);
    flush_messages();
  } else if (port >= 0 && !is_input) {
    if (period_ns > FAREWELL_PERIOD_NS) period_ns = FAREWELL_PERIOD_NS;
    say_farewell(now_ns() + (end == SAID_GOODBYE ? FAREWELL_FRAMES * period_ns : linger_ns));
  }
  if (port >= 0) dmx_port_close(port);
  return end == NOTHING_NEW;
}
