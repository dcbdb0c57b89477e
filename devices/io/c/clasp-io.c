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
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "../../process/c/program.h"
#include "edges.h"
#include "messages.h"
#include "outputs.h"

static uint64_t heard_at;
/* The router says nothing. */
static bool is_silent;
/* Outputs became safe because of it, and stay so until the router has said that it knows. */
static bool is_latched;

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
    uint8_t first = get_u8(r);
    fresh.spec.is_on = first == 1;
    fresh.spec.is_released = fresh.is_released = first == HIGH_IMPEDANCE;
    fresh.spec.is_kept = first == AS_IT_IS;
    fresh.safe = get_u8(r);
    fresh.max_on = get_u32(r) * (uint64_t)MS;
    fresh.interlock = get_u8(r);
    fresh.rejects = get_u8(r) != 0;
    fresh.dead_time = get_u32(r) * (uint64_t)MS;
  }
  if (r->failed || strchr(fresh.spec.chip, '/') != NULL) {
    tell_failed(handle, EBADMSG);
    return;
  }
  fresh.fd = kind == INPUT ? line_open_input(&fresh.spec) : line_open_output(&fresh.spec);
  fresh.is_on = kind == OUTPUT && fresh.spec.is_on;
  /* What it was before nobody knows. */
  if (!fresh.is_on) fresh.off_at = now_ns();
  if (fresh.is_on && fresh.max_on > 0) fresh.off_by = now_ns() + fresh.max_on;
  level = fresh.fd < 0 ? fresh.fd : kind == INPUT ? line_get(fresh.fd, &fresh.spec) : fresh.is_on;
  if (level < 0) {
    if (fresh.fd >= 0) line_close(fresh.fd);
    tell_failed(handle, -level);
    return;
  }
  *l = fresh;
  tell_level(OUT_OPENED, handle, level);
}

/* Descriptor of the file. */
static int open_guarded(const char *path) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  /* Two that make it safe would undo what the other one's router sets. */
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  close(fd);
  return -EBUSY;
}

static void open_guard(uint16_t handle, reader *r) {
  line *l = &lines[handle];
  bool is_new = l->kind == FREE;
  int error = is_new || l->kind == GUARD ? 0 : EEXIST;
  uint8_t i;
  if (is_new) l->kind = GUARD;
  for (i = 0; i < MAX_FILES && r->at < r->end && error == 0; i++) {
    char path[256], content[LINE_NAME];
    get_text(r, path, sizeof path);
    get_text(r, content, sizeof content);
    if (r->failed || (!is_new && i >= l->file_count)) error = EBADMSG;
    else if (is_new) {
      int fd = open_guarded(path);
      if (fd < 0) error = -fd;
      else l->files[l->file_count++].fd = fd;
    }
    if (error == 0) memcpy(l->files[i].content, content, sizeof content);
  }
  if (error != 0) {
    if (is_new) line_free(handle);
    tell_failed(handle, error);
  } else if (is_new) tell_level(OUT_OPENED, handle, false);
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
  if (is_latched) {
    if (type == IN_PULSES && get_u32(r) > 0) tell_done(handle, 0);
    tell_forced(handle, FORCED_WATCHDOG);
  } else if (type == IN_SET) {
    uint8_t wanted = get_u8(r);
    if (wanted == HIGH_IMPEDANCE) output_release(handle);
    else output_set(handle, wanted != 0);
  }
  else if (type == IN_STROBE) output_strobe(handle, get_u16(r));
  else {
    uint32_t count = get_u32(r);
    output_pulses(handle, count, get_u32(r));
  }
}

static void take(uint8_t type, reader *r) {
  uint16_t handle;
  if (type == IN_RESUME) is_latched = false;
  if (type == IN_LIST) tell_lines();
  if (type < IN_INPUT || type >= IN_RESUME) return;
  handle = get_u16(r);
  if (handle >= MAX_LINES) return;
  switch (type) {
    case IN_INPUT: open_line(handle, r, INPUT); break;
    case IN_OUTPUT: open_line(handle, r, OUTPUT); break;
    case IN_GUARD: open_guard(handle, r); break;
    case IN_CLOSE: close_line(handle); break;
    case IN_READ: read_line(handle); break;
    default: command(type, handle, r); break;
  }
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

/* How it ended. */
static arrival run(void) {
  static struct pollfd polls[MAX_LINES + 1];
  static uint16_t handles[MAX_LINES + 1];
  for (;;) {
    uint64_t now = now_ns(), next = outputs_run(now);
    struct timespec timeout;
    int count = 1;
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
    if (polls[0].revents != 0) {
      arrival state = receive_messages(take);
      if (state == SAID_GOODBYE || state == IS_GONE) return state;
      if (state == ARRIVED) {
        heard_at = now_ns();
        is_silent = false;
      }
    }
    if (!is_silent && is_armed() && now_ns() >= heard_at + watchdog_ns) fall_safe();
    edges_read(polls, handles, count);
  }
}

int main(int argc, char **argv) {
  arrival end;
  if (!read_options(argc, argv, 1)) {
    fprintf(stderr, "usage: clasp-io [--watchdog MS] [--linger MS]\n");
    return 2;
  }
  begin_program(VERSION);
  heard_at = now_ns();
  end = run();
  all_safe();
  if (end == IS_GONE) sleep_ns(is_armed() ? linger_ns : 0);
  return 0;
}
