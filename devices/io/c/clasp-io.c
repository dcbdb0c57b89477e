/*
 * clasp-io: holds the GPIO lines for the router, in a process of its own. When the router ends (standard input closes) or
 * says nothing for the watchdog's time, all outputs take their safe state at once, and keep it. Linux 5.10 or newer.
 *
 *   clasp-io [--watchdog MS] [--linger MS]
 *
 * --watchdog: silence after which outputs become safe, default 90. --linger: how long safe outputs are held after the
 * router has gone without a goodbye, default 3000; until then its successor finds them busy.
 * Messages: messages.h. Ends with 0, or with 2 when it is called wrongly.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "edges.h"
#include "messages.h"
#include "outputs.h"

#define MS 1000000u

static uint64_t watchdog_ns = 90 * (uint64_t)MS, linger_ns = 3000 * (uint64_t)MS;
static uint64_t heard_at;
/* The router says nothing. */
static bool is_silent;
/* Outputs became safe because of it, and stay so until the router has said that it knows. */
static bool is_latched;

uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void tell_level(uint8_t type, uint16_t handle, bool is_on) {
  begin_message(type);
  put_u16(handle);
  put_u8(is_on);
  send_message();
}

static void tell_handle(uint8_t type, uint16_t handle) {
  begin_message(type);
  put_u16(handle);
  send_message();
}

static void tell_line(const line_info *info) {
  begin_message(OUT_LINE);
  put_text(info->chip);
  put_text(info->label);
  put_u32(info->offset);
  put_text(info->name);
  put_text(info->consumer);
  send_message();
}

static void all_safe(void) {
  uint16_t handle;
  for (handle = 0; handle < MAX_LINES; handle++)
    if (lines[handle].kind >= OUTPUT) line_safe(handle);
}

static void open_line(uint16_t handle, reader *r, uint8_t kind) {
  line *l = &lines[handle], fresh = {0};
  int level;
  if (l->kind != FREE) {
    tell_failed(handle, EEXIST);
    return;
  }
  fresh.kind = kind;
  get_text(r, fresh.spec.chip, sizeof fresh.spec.chip);
  get_text(r, fresh.spec.consumer, sizeof fresh.spec.consumer);
  fresh.spec.offset = get_u32(r);
  fresh.spec.flags = get_u32(r);
  if (kind == INPUT) {
    fresh.spec.debounce_us = get_u32(r);
  } else {
    fresh.spec.is_on = get_u8(r) != 0;
    fresh.safe = get_u8(r);
    fresh.max_on = get_u32(r) * (uint64_t)MS;
    fresh.interlock = get_u8(r);
    fresh.rejects = get_u8(r) != 0;
    fresh.dead_time = get_u32(r) * (uint64_t)MS;
    fresh.is_on = fresh.spec.is_on;
    if (fresh.is_on && fresh.max_on > 0) fresh.off_by = now_ns() + fresh.max_on;
  }
  if (r->failed || strchr(fresh.spec.chip, '/') != NULL) {
    tell_failed(handle, EBADMSG);
    return;
  }
  fresh.fd = kind == INPUT ? line_open_input(&fresh.spec) : line_open_output(&fresh.spec);
  level = fresh.fd < 0 ? fresh.fd : kind == INPUT ? line_get(fresh.fd, &fresh.spec) : fresh.is_on;
  if (level < 0) {
    if (fresh.fd >= 0) close(fresh.fd);
    tell_failed(handle, -level);
    return;
  }
  *l = fresh;
  tell_level(OUT_OPENED, handle, level);
}

static void open_guard(uint16_t handle, reader *r) {
  line *l = &lines[handle];
  char path[256], content[LINE_NAME];
  int fd;
  get_text(r, path, sizeof path);
  get_text(r, content, sizeof content);
  if (r->failed || (l->kind != FREE && l->kind != GUARD)) {
    tell_failed(handle, r->failed ? EBADMSG : EEXIST);
    return;
  }
  if (l->kind == GUARD) {
    memcpy(l->content, content, sizeof content);
    return;
  }
  fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) {
    tell_failed(handle, errno);
    return;
  }
  l->kind = GUARD;
  l->fd = fd;
  memcpy(l->content, content, sizeof content);
  tell_level(OUT_OPENED, handle, false);
}

static void close_line(uint16_t handle) {
  if (lines[handle].kind >= OUTPUT) line_safe(handle);
  if (lines[handle].kind != FREE) line_free(handle);
  tell_handle(OUT_CLOSED, handle);
}

static void read_line(uint16_t handle) {
  line *l = &lines[handle];
  int level = l->kind == FREE || l->kind == GUARD ? -ENODEV : line_get(l->fd, &l->spec);
  if (level < 0) tell_failed(handle, -level);
  else tell_level(OUT_LEVEL, handle, level);
}

static void tell_lines(void) {
  int result = line_list(tell_line);
  begin_message(OUT_LISTED);
  put_u32((uint32_t)-result);
  send_message();
}

/* A message that changes an output. */
static void command(uint8_t type, uint16_t handle, reader *r) {
  if (lines[handle].kind != OUTPUT) return;
  if (is_latched) tell_forced(handle, FORCED_WATCHDOG);
  else if (type == IN_SET) output_set(handle, get_u8(r) != 0);
  else if (type == IN_STROBE) output_strobe(handle, get_u16(r));
  else {
    uint32_t count = get_u32(r);
    output_pulses(handle, count, get_u32(r));
  }
}

/* False: the router said goodbye. */
static bool take(reader *r) {
  uint8_t type = get_u8(r);
  uint16_t handle;
  if (type == IN_BEAT) return true;
  if (type == IN_QUIT) return false;
  if (type == IN_RESUME) is_latched = false;
  if (type == IN_LIST) tell_lines();
  if (type < IN_INPUT || type == IN_RESUME) return true;
  handle = get_u16(r);
  if (handle >= MAX_LINES) return true;
  switch (type) {
    case IN_INPUT: open_line(handle, r, INPUT); break;
    case IN_OUTPUT: open_line(handle, r, OUTPUT); break;
    case IN_GUARD: open_guard(handle, r); break;
    case IN_CLOSE: close_line(handle); break;
    case IN_READ: read_line(handle); break;
    case IN_SET:
    case IN_STROBE:
    case IN_PULSES: command(type, handle, r); break;
    default: break;
  }
  return true;
}

enum { GO_ON, SAID_GOODBYE, IS_GONE };

static int read_messages(void) {
  static uint8_t buffer[65536];
  static size_t length;
  size_t at = 0;
  ssize_t size = read(STDIN_FILENO, buffer + length, sizeof buffer - length);
  if (size < 0) return errno == EAGAIN || errno == EINTR ? GO_ON : IS_GONE;
  if (size == 0) return IS_GONE;
  heard_at = now_ns();
  is_silent = false;
  length += (size_t)size;
  while (length - at >= 2) {
    size_t rest = (size_t)(buffer[at] | buffer[at + 1] << 8);
    reader r;
    /* Something else than the router speaks to us. */
    if (rest == 0 || rest > MAX_MESSAGE) return IS_GONE;
    if (length - at < 2 + rest) break;
    r.at = buffer + at + 2;
    r.end = r.at + rest;
    r.failed = false;
    at += 2 + rest;
    if (!take(&r)) return SAID_GOODBYE;
  }
  memmove(buffer, buffer + at, length - at);
  length -= at;
  return GO_ON;
}

/* Those that were safe anyway need no new command. */
static void fall_safe(void) {
  uint16_t handle;
  is_silent = true;
  for (handle = 0; handle < MAX_LINES; handle++) {
    if (lines[handle].kind < OUTPUT || !line_safe(handle)) continue;
    is_latched = true;
    tell_forced(handle, FORCED_WATCHDOG);
  }
}

static bool is_armed(void) {
  uint16_t handle;
  for (handle = 0; handle < MAX_LINES; handle++)
    if (lines[handle].kind >= OUTPUT) return true;
  return false;
}

static int run(void) {
  static struct pollfd polls[MAX_LINES + 1];
  static uint16_t handles[MAX_LINES + 1];
  for (;;) {
    uint64_t now = now_ns(), next = outputs_run(now);
    struct timespec timeout;
    int count = 1, state = GO_ON;
    uint16_t handle;
    if (!is_silent && is_armed() && (next == 0 || heard_at + watchdog_ns < next)) next = heard_at + watchdog_ns;
    if (!flush_messages()) return IS_GONE;
    polls[0].fd = STDIN_FILENO;
    polls[0].events = POLLIN;
    for (handle = 0; handle < MAX_LINES; handle++) {
      if (lines[handle].kind != INPUT && lines[handle].kind != OUTPUT) continue;
      polls[count].fd = lines[handle].fd;
      polls[count].events = lines[handle].kind == INPUT ? POLLIN : 0;
      handles[count++] = handle;
    }
    now = now_ns();
    if (has_messages() && (next == 0 || next > now + MS)) next = now + MS;
    timeout.tv_sec = (time_t)(next > now ? (next - now) / 1000000000u : 0);
    timeout.tv_nsec = (long)(next > now ? (next - now) % 1000000000u : 0);
    if (ppoll(polls, (nfds_t)count, next == 0 ? NULL : &timeout, NULL) < 0) continue;
    /* What came while this process did not run counts before the silence does. */
    if (polls[0].revents != 0) state = read_messages();
    if (state != GO_ON) return state;
    if (!is_silent && is_armed() && now_ns() >= heard_at + watchdog_ns) fall_safe();
    edges_read(polls, handles, count);
  }
}

static void hold_safe(uint64_t ns) {
  struct timespec rest;
  rest.tv_sec = (time_t)(ns / 1000000000u);
  rest.tv_nsec = (long)(ns % 1000000000u);
  while (nanosleep(&rest, &rest) < 0 && errno == EINTR) continue;
}

static bool read_option(const char *text, uint64_t *ns) {
  char *end;
  unsigned long ms = text == NULL ? 0 : strtoul(text, &end, 10);
  if (text == NULL || *text == 0 || *end != 0) return false;
  *ns = (uint64_t)ms * MS;
  return true;
}

int main(int argc, char **argv) {
  /* A service manager or Ctrl-C tells all processes to stop: the router decides when this one does. */
  static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE};
  size_t i;
  int at, end;
  for (at = 1; at < argc; at += 2) {
    bool is_watchdog = strcmp(argv[at], "--watchdog") == 0;
    if ((!is_watchdog && strcmp(argv[at], "--linger") != 0) ||
        !read_option(argv[at + 1], is_watchdog ? &watchdog_ns : &linger_ns) || watchdog_ns == 0) {
      fprintf(stderr, "usage: clasp-io [--watchdog MS] [--linger MS]\n");
      return 2;
    }
  }
  for (i = 0; i < sizeof ignored / sizeof ignored[0]; i++) signal(ignored[i], SIG_IGN);
  fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
  fcntl(STDOUT_FILENO, F_SETFL, fcntl(STDOUT_FILENO, F_GETFL) | O_NONBLOCK);
  /* Not to wait for the card when it counts; not allowed everywhere. */
  if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0) errno = 0;
  heard_at = now_ns();
  begin_message(OUT_READY);
  put_u8(VERSION);
  send_message();
  end = run();
  all_safe();
  if (end == IS_GONE) hold_safe(is_armed() ? linger_ns : 0);
  return 0;
}
