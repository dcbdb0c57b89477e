/*
 * clasp-input: what keypads, readers and gamepads say, from the event devices of Linux to standard output. A process of
 * its own, because Node.js can wait for such a device only by blocking a thread. Ends when standard input closes.
 *
 *   clasp-input [--grab] PATH...
 *
 * PATH: /dev/input/eventN, at most 8, parts of one device. --grab: nobody else gets its keys, the console neither.
 * What is no character device is read as it is: a file or a fifo of struct input_event.
 *
 * Records of 16 bytes, all numbers little-endian:
 *   0  u64  microseconds since the Unix epoch, of the kernel; 0: not an event
 *   8  u16  type: RECORD_*
 *   10 u16  code: of linux/input-event-codes.h
 *   12 i32  value
 * Source: Documentation/input/input.rst and event-codes.rst of Linux.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* How it ends; input-reader.ts has the same numbers. */
enum { END_STOPPED, END_FAILED, END_USAGE, END_GONE, END_DENIED, END_MISSING, END_BUSY, END_NO_DEVICE };

enum {
  RECORD_READY = 0,
  /* Value: 0 release, 1 press, 2 repeat. */
  RECORD_KEY = 1,
  RECORD_AXIS = 3,
  /* Before the first value of an axis: its range. */
  RECORD_AXIS_MIN = 0x13,
  RECORD_AXIS_MAX = 0x23
};

enum { DEVICES = 8, RECORD_BYTES = 16, BATCH = 64, VERSION = 1 };

typedef struct source {
  int fd;
  bool is_device;
  /* The kernel's queue ran over: what follows is not to be trusted until the next report. */
  bool has_lost;
  /* Keys that are down as far as the reader of this program knows. */
  uint8_t down[KEY_CNT / 8];
} source;

static source sources[DEVICES];
static uint8_t out[(2 * BATCH + KEY_CNT) * RECORD_BYTES];
static size_t out_length;

/* False: nobody reads any more. */
static bool flush(void) {
  size_t at = 0;
  while (at < out_length) {
    ssize_t written = write(STDOUT_FILENO, out + at, out_length - at);
    if (written < 0 && errno != EINTR) return false;
    if (written > 0) at += (size_t)written;
  }
  out_length = 0;
  return true;
}

static void put(uint64_t value, int bytes) {
  for (; bytes > 0; bytes--, value >>= 8) out[out_length++] = (uint8_t)value;
}

static void record(uint64_t us, uint16_t type, uint16_t code, int32_t value) {
  if (out_length + RECORD_BYTES > sizeof out && !flush()) return;
  put(us, 8);
  put(type, 2);
  put(code, 2);
  put((uint32_t)value, 4);
}

static bool is_down(const uint8_t *keys, unsigned code) { return (keys[code / 8] >> code % 8 & 1) != 0; }

static void tell_axes(const source *s, uint64_t us, bool has_ranges) {
  uint8_t axes[ABS_CNT / 8] = {0};
  unsigned code;
  if (ioctl(s->fd, EVIOCGBIT(EV_ABS, sizeof axes), axes) < 0) return;
  for (code = 0; code < ABS_CNT; code++) {
    struct input_absinfo about;
    /* A finger of a touch screen has no value of its own. */
    if (!is_down(axes, code) || code >= ABS_MT_SLOT) continue;
    if (ioctl(s->fd, EVIOCGABS(code), &about) < 0) continue;
    if (has_ranges) {
      record(0, RECORD_AXIS_MIN, (uint16_t)code, about.minimum);
      record(0, RECORD_AXIS_MAX, (uint16_t)code, about.maximum);
    }
    record(us, RECORD_AXIS, (uint16_t)code, about.value);
  }
}

/* Makes up for events that were lost: tells the keys and axes that are not where they were. */
static void catch_up(source *s, uint64_t us) {
  uint8_t down[sizeof s->down];
  unsigned code;
  if (ioctl(s->fd, EVIOCGKEY(sizeof down), down) < 0) return;
  for (code = 0; code < KEY_CNT; code++) {
    bool is_pressed = is_down(down, code);
    if (is_pressed != is_down(s->down, code)) record(us, RECORD_KEY, (uint16_t)code, is_pressed);
  }
  memcpy(s->down, down, sizeof down);
  tell_axes(s, us, false);
}

static void take(source *s, const struct input_event *event) {
  uint64_t us = (uint64_t)event->input_event_sec * 1000000u + (uint64_t)event->input_event_usec;
  if (event->type == EV_SYN && event->code == SYN_DROPPED) {
    s->has_lost = true;
  } else if (event->type == EV_SYN && event->code == SYN_REPORT && s->has_lost) {
    s->has_lost = false;
    catch_up(s, us);
  } else if (s->has_lost) {
    return;
  } else if (event->type == EV_KEY && event->code < KEY_CNT) {
    uint8_t bit = (uint8_t)(1u << event->code % 8);
    if (event->value == 0) s->down[event->code / 8] &= (uint8_t)~bit;
    else s->down[event->code / 8] |= bit;
    record(us, RECORD_KEY, event->code, event->value);
  } else if (event->type == EV_ABS && event->code < ABS_MT_SLOT) {
    record(us, RECORD_AXIS, event->code, event->value);
  }
}

static int end_of(int error) {
  switch (error) {
    case EACCES:
    case EPERM: return END_DENIED;
    case ENOENT:
    case ENODEV:
    case ENXIO: return END_MISSING;
    case EBUSY: return END_BUSY;
    case ENOTTY:
    case EINVAL: return END_NO_DEVICE;
    default: return END_FAILED;
  }
}

/* 0, or how the program has to end. */
static int open_source(source *s, const char *path, bool is_grabbed) {
  struct stat about;
  int version;
  s->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (s->fd < 0 || fstat(s->fd, &about) < 0) return end_of(errno);
  s->is_device = S_ISCHR(about.st_mode);
  if (!s->is_device) return 0;
  if (ioctl(s->fd, EVIOCGVERSION, &version) < 0) return end_of(errno);
  if (is_grabbed && ioctl(s->fd, EVIOCGRAB, (void *)1) < 0) return end_of(errno);
  /* Keys that are held already were not pressed now. */
  if (ioctl(s->fd, EVIOCGKEY(sizeof s->down), s->down) < 0) memset(s->down, 0, sizeof s->down);
  return 0;
}

/* 0, or how the program has to end. */
static int read_source(source *s) {
  struct input_event events[BATCH];
  ssize_t size = read(s->fd, events, sizeof events);
  size_t i;
  if (size < 0) return errno == EAGAIN || errno == EINTR ? 0 : END_GONE;
  if (size == 0) return END_GONE;
  for (i = 0; i < (size_t)size / sizeof events[0]; i++) take(s, &events[i]);
  return 0;
}

static int run(int count) {
  struct pollfd polls[DEVICES + 1];
  int i, end;
  for (i = 0; i < count; i++) {
    polls[i].fd = sources[i].fd;
    polls[i].events = POLLIN;
  }
  polls[count].fd = STDIN_FILENO;
  polls[count].events = POLLIN;
  for (;;) {
    if (!flush()) return END_STOPPED;
    if (poll(polls, (nfds_t)count + 1, -1) < 0) continue;
    if (polls[count].revents != 0) {
      uint8_t ignored[64];
      if (read(STDIN_FILENO, ignored, sizeof ignored) <= 0) return END_STOPPED;
    }
    for (i = 0; i < count; i++) {
      if (polls[i].revents == 0) continue;
      end = read_source(&sources[i]);
      if (end == 0) continue;
      flush();
      return end;
    }
  }
}

int main(int argc, char **argv) {
  /* A service manager or Ctrl-C tells all processes to stop: the router decides when this one does. */
  static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE};
  bool is_grabbed = argc > 1 && strcmp(argv[1], "--grab") == 0;
  int first = is_grabbed ? 2 : 1, count = argc - first, i, end;
  size_t at;
  if (count < 1 || count > DEVICES || argv[first][0] == '-') {
    fprintf(stderr, "usage: clasp-input [--grab] PATH...\n");
    return END_USAGE;
  }
  for (at = 0; at < sizeof ignored / sizeof ignored[0]; at++) signal(ignored[at], SIG_IGN);
  for (i = 0; i < count; i++) {
    end = open_source(&sources[i], argv[first + i], is_grabbed);
    if (end != 0) return end;
  }
  record(0, RECORD_READY, VERSION, 0);
  for (i = 0; i < count; i++)
    if (sources[i].is_device) tell_axes(&sources[i], 0, true);
  return run(count);
}
