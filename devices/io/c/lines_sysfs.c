#define _GNU_SOURCE
#include "lines_sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "../../process/c/program.h"
#include "gpio_uapi.h"

#define US 1000u

enum { DESCRIPTORS = 1024, PATH = 512 };
/* How often a line is looked at: one without an interrupt; and any other, for nobody is woken when its chip has gone. */
enum { LOOK_US = 5000, CHECK_US = 1000000 };
enum { FROM_VALUE, FROM_TIMER };

/* By descriptor. That of an output is its file `value`; that of an input waits for that file and for a timer. */
static struct {
  bool is_used, is_input, has_interrupt;
  int value, timer;
  uint32_t number, debounce_us;
  /* Of an input: what was told last, and whether and since when it is something else. */
  bool is_on, has_changed;
  uint64_t changed_at;
  uint32_t sequence;
} known[DESCRIPTORS];

static const char *root(void) {
  const char *given = getenv(SYSFS_VARIABLE);
  return given == NULL ? "/sys/class/gpio" : given;
}

static int open_file(const char *folder, const char *name, int flags) {
  char path[PATH];
  int fd;
  snprintf(path, sizeof path, "%s/%s/%s", root(), folder, name);
  fd = open(path, flags | O_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

static int write_file(const char *folder, const char *name, const char *text) {
  int fd = open_file(folder, name, O_WRONLY | O_TRUNC), result = 0;
  if (fd < 0) return fd;
  if (write(fd, text, strlen(text)) < 0) result = -errno;
  close(fd);
  return result;
}

/* Without the end of the line; '' where it cannot be read. */
static void read_file(const char *folder, const char *name, char *text, size_t room) {
  int fd = open_file(folder, name, O_RDONLY);
  ssize_t size = fd < 0 ? -1 : read(fd, text, room - 1);
  text[size < 0 ? 0 : size] = 0;
  text[strcspn(text, "\n")] = 0;
  if (fd >= 0) close(fd);
}

static uint32_t read_number(const char *folder, const char *name) {
  char text[LINE_NAME];
  read_file(folder, name, text, sizeof text);
  return (uint32_t)strtoul(text, NULL, 10);
}

static void folder_of(char *folder, uint32_t number) { snprintf(folder, LINE_NAME, "gpio%u", (unsigned)number); }

static bool is_exported(uint32_t number) {
  char folder[LINE_NAME], path[PATH];
  folder_of(folder, number);
  snprintf(path, sizeof path, "%s/%s", root(), folder);
  return access(path, F_OK) == 0;
}

/*
 * One that is exported already was left by a predecessor that was killed, or another program uses it: nobody can tell,
 * except that this program locks what it has.
 */
static int export_line(const line_spec *spec, uint32_t *number) {
  char text[LINE_NAME];
  read_file(spec->chip, "ngpio", text, sizeof text);
  if (text[0] == 0) return -ENODEV;
  if (spec->offset >= strtoul(text, NULL, 10)) return -EINVAL;
  *number = read_number(spec->chip, "base") + spec->offset;
  if (is_exported(*number)) return 0;
  snprintf(text, sizeof text, "%u", (unsigned)*number);
  return write_file(".", "export", text);
}

static int read_level(int value) {
  char level = '0';
  return pread(value, &level, 1, 0) < 0 ? -errno : level == '1';
}

/* `high` and `low` are levels of the line, whatever is active. */
static int drive(uint32_t number, const line_spec *spec, bool is_on) {
  char folder[LINE_NAME];
  folder_of(folder, number);
  return write_file(folder, "direction", is_on != ((spec->flags & GPIO_ACTIVE_LOW) != 0) ? "high" : "low");
}

static bool is_driven(uint32_t number) {
  char folder[LINE_NAME], direction[LINE_NAME];
  folder_of(folder, number);
  read_file(folder, "direction", direction, sizeof direction);
  return strcmp(direction, "out") == 0;
}

/* The locked file `value` of the line. */
static int open_value(line_spec *spec, bool is_output, uint32_t *number) {
  const uint32_t impossible = GPIO_PULL_UP | GPIO_PULL_DOWN | GPIO_BIAS_DISABLED | GPIO_OPEN_DRAIN | GPIO_OPEN_SOURCE;
  char folder[LINE_NAME];
  int result, value;
  if (spec->flags & impossible) return -EOPNOTSUPP;
  result = export_line(spec, number);
  if (result < 0) return result;
  folder_of(folder, *number);
  value = open_file(folder, "value", is_output ? O_RDWR : O_RDONLY);
  if (value < 0) return value;
  if (flock(value, LOCK_EX | LOCK_NB) < 0) result = -EBUSY;
  if (result == 0) result = write_file(folder, "active_low", spec->flags & GPIO_ACTIVE_LOW ? "1" : "0");
  if (result == 0 && spec->is_kept && is_driven(*number)) spec->is_on = read_level(value) == 1;
  if (result == 0 && is_output && !spec->is_released) result = drive(*number, spec, spec->is_on);
  else if (result == 0) result = write_file(folder, "direction", "in");
  /* Unread, it would look as if it had changed. */
  if (result == 0) result = read_level(value) < 0 ? -EIO : 0;
  if (result == 0 && value >= DESCRIPTORS) result = -EMFILE;
  if (result == 0) return value;
  close(value);
  return result;
}

int sysfs_open_output(line_spec *spec) {
  uint32_t number;
  int fd = open_value(spec, true, &number);
  if (fd < 0) return fd;
  memset(&known[fd], 0, sizeof known[fd]);
  known[fd].is_used = true;
  known[fd].value = fd;
  known[fd].timer = -1;
  known[fd].number = number;
  return fd;
}

static void set_timer(int timer, uint32_t us) {
  struct itimerspec when;
  when.it_value.tv_sec = us / 1000000u;
  when.it_value.tv_nsec = (long)(us % 1000000u) * (long)US;
  when.it_interval = when.it_value;
  timerfd_settime(timer, 0, &when, NULL);
}

static int watch(int fd, int other, uint32_t events, uint32_t from) {
  struct epoll_event event;
  memset(&event, 0, sizeof event);
  event.events = events;
  event.data.u32 = from;
  return epoll_ctl(fd, EPOLL_CTL_ADD, other, &event);
}

int sysfs_open_input(const line_spec *spec) {
  line_spec own = *spec;
  char folder[LINE_NAME];
  uint32_t number;
  int value = open_value(&own, false, &number), timer, fd;
  if (value < 0) return value;
  timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  fd = epoll_create1(EPOLL_CLOEXEC);
  if (timer < 0 || fd < 0 || fd >= DESCRIPTORS || watch(fd, timer, EPOLLIN, FROM_TIMER) < 0) {
    if (timer >= 0) close(timer);
    if (fd >= 0) close(fd);
    close(value);
    return -EMFILE;
  }
  memset(&known[fd], 0, sizeof known[fd]);
  folder_of(folder, number);
  known[fd].is_used = known[fd].is_input = true;
  known[fd].value = value;
  known[fd].timer = timer;
  known[fd].number = number;
  known[fd].debounce_us = spec->debounce_us;
  known[fd].is_on = read_level(value) == 1;
  known[fd].has_interrupt = write_file(folder, "edge", "both") == 0 && watch(fd, value, EPOLLPRI, FROM_VALUE) == 0;
  set_timer(timer, known[fd].has_interrupt ? CHECK_US : LOOK_US);
  return fd;
}

bool sysfs_has(int fd) { return fd >= 0 && fd < DESCRIPTORS && known[fd].is_used; }

int sysfs_get(int fd) { return read_level(known[fd].value); }

int sysfs_set(int fd, bool is_on) { return pwrite(fd, is_on ? "1" : "0", 1, 0) < 0 ? -errno : 0; }

int sysfs_release(int fd) {
  char folder[LINE_NAME];
  folder_of(folder, known[fd].number);
  return write_file(folder, "direction", "in");
}

int sysfs_drive(int fd, const line_spec *spec, bool is_on) { return drive(known[fd].number, spec, is_on); }

/* Whether the level has been another one for long enough. */
static bool is_edge(int fd, bool is_on, bool is_from_value) {
  uint64_t now = now_ns();
  bool was_changed = known[fd].has_changed;
  bool is_through;
  known[fd].has_changed = is_on != known[fd].is_on;
  if (known[fd].has_changed && (!was_changed || is_from_value)) known[fd].changed_at = now;
  is_through = known[fd].has_changed && now - known[fd].changed_at >= known[fd].debounce_us * (uint64_t)US;
  if (known[fd].has_interrupt && known[fd].debounce_us > 0)
    set_timer(known[fd].timer, known[fd].has_changed && !is_through ? known[fd].debounce_us : CHECK_US);
  return is_through;
}

int sysfs_edges(int fd, line_edge *edges, int room) {
  struct epoll_event events[2];
  uint64_t expirations;
  int count = epoll_wait(fd, events, 2, 0), i, level;
  bool is_from_value = false;
  if (count <= 0 || room == 0) return 0;
  for (i = 0; i < count; i++) {
    if (events[i].data.u32 == FROM_VALUE) is_from_value = true;
    else if (read(known[fd].timer, &expirations, sizeof expirations) < 0) continue;
  }
  level = read_level(known[fd].value);
  if (level < 0) return level;
  if (!is_edge(fd, level == 1, is_from_value)) return 0;
  known[fd].has_changed = false;
  known[fd].is_on = level == 1;
  edges[0].is_on = level == 1;
  edges[0].timestamp_ns = known[fd].changed_at;
  edges[0].sequence = ++known[fd].sequence;
  return 1;
}

void sysfs_close(int fd) {
  char text[LINE_NAME];
  uint32_t number = known[fd].number;
  if (known[fd].is_input) {
    close(known[fd].value);
    close(known[fd].timer);
  }
  memset(&known[fd], 0, sizeof known[fd]);
  close(fd);
  snprintf(text, sizeof text, "%u", (unsigned)number);
  write_file(".", "unexport", text);
}

static void tell_chip(const char *chip, void (*tell)(const line_info *)) {
  char label[LINE_NAME];
  uint32_t base = read_number(chip, "base"), count = read_number(chip, "ngpio");
  line_info info;
  read_file(chip, "label", label, sizeof label);
  info.chip = chip;
  info.label = label;
  info.name = "";
  for (info.offset = 0; info.offset < count; info.offset++) {
    info.consumer = is_exported(base + info.offset) ? "sysfs" : "";
    tell(&info);
  }
}

int sysfs_list(void (*tell)(const line_info *)) {
  struct dirent **entries;
  int count = scandir(root(), &entries, NULL, versionsort), i, result = -ENOENT;
  for (i = 0; i < count; i++) {
    if (strncmp(entries[i]->d_name, "gpiochip", 8) == 0 && strlen(entries[i]->d_name) < LINE_NAME) {
      tell_chip(entries[i]->d_name, tell);
      result = 0;
    }
    free(entries[i]);
  }
  if (count >= 0) free(entries);
  return result;
}
