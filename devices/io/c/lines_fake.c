/*
 * Lines that are files, for tests: CLASP_IO_FAKE names a folder with a folder for each chip, in which there are, for each
 * line by its offset: N.name (its name), N.busy (who has it; absent: nobody), N.value (its level, 0 or 1, or z for high
 * impedance), N.in (a FIFO: each byte 0 or 1 written to it is a level that the line takes).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../process/c/program.h"
#include "lines.h"

enum { LEVELS = 1024 };
/* By descriptor. */
static struct { bool is_on; uint32_t sequence; } inputs[LEVELS];

static void path_of(char *path, size_t room, const char *chip, const char *rest) {
  const char *root = getenv("CLASP_IO_FAKE");
  snprintf(path, room, "%s/%s%s", root == NULL ? "." : root, chip, rest);
}

static int open_file(const line_spec *spec, const char *kind, int flags) {
  char rest[LINE_NAME], path[512];
  int fd;
  snprintf(rest, sizeof rest, "/%u.%s", (unsigned)spec->offset, kind);
  path_of(path, sizeof path, spec->chip, rest);
  fd = open(path, flags | O_CLOEXEC, 0600);
  return fd < 0 ? -errno : fd;
}

static int check(const line_spec *spec) {
  int busy = open_file(spec, "busy", O_RDONLY), name;
  char path[512];
  if (busy >= 0) {
    close(busy);
    return -EBUSY;
  }
  path_of(path, sizeof path, spec->chip, "");
  if (access(path, F_OK) < 0) return -errno;
  name = open_file(spec, "name", O_RDONLY);
  if (name < 0) return name == -ENOENT ? -EINVAL : name;
  close(name);
  return 0;
}

int line_open_input(const line_spec *spec) {
  int result = check(spec), fd, value;
  char level = '0';
  if (result < 0) return result;
  value = open_file(spec, "value", O_RDONLY);
  if (value >= 0) {
    if (read(value, &level, 1) < 0) level = '0';
    close(value);
  }
  fd = open_file(spec, "in", O_RDWR | O_NONBLOCK);
  if (fd < 0 || fd >= LEVELS) return fd < 0 ? fd : -EMFILE;
  inputs[fd].is_on = level == '1';
  inputs[fd].sequence = 0;
  return fd;
}

static int put(int fd, char level) { return pwrite(fd, &level, 1, 0) < 0 ? -errno : 0; }

int line_get(int fd, const line_spec *spec) {
  char level = '0';
  (void)spec;
  if (pread(fd, &level, 1, 0) < 0) return errno == ESPIPE ? inputs[fd].is_on : -errno;
  return level == '1';
}

int line_open_output(line_spec *spec) {
  int result = check(spec), fd;
  if (result < 0) return result;
  fd = open_file(spec, "value", O_RDWR | O_CREAT);
  if (fd >= 0 && spec->is_kept) spec->is_on = line_get(fd, spec) == 1;
  if (fd >= 0) put(fd, spec->is_released ? 'z' : spec->is_on ? '1' : '0');
  return fd;
}

int line_set(int fd, const line_spec *spec, bool is_on) {
  (void)spec;
  return put(fd, is_on ? '1' : '0');
}

int line_release(int fd, const line_spec *spec) {
  (void)spec;
  return put(fd, 'z');
}

int line_drive(int fd, const line_spec *spec, bool is_on) { return line_set(fd, spec, is_on); }

void line_close(int fd) { close(fd); }

int line_edges(int fd, line_edge *edges, int room) {
  char levels[64];
  int count = 0, i;
  ssize_t size = read(fd, levels, room < 64 ? (size_t)room : sizeof levels);
  if (size < 0) return errno == EAGAIN || errno == EINTR ? 0 : -errno;
  for (i = 0; i < size; i++) {
    bool is_on = levels[i] == '1';
    if (is_on == inputs[fd].is_on) continue;
    inputs[fd].is_on = is_on;
    edges[count].timestamp_ns = now_ns();
    edges[count].sequence = ++inputs[fd].sequence;
    edges[count++].is_on = is_on;
  }
  return count;
}

static void read_text(const char *chip, uint32_t offset, const char *kind, char *text) {
  line_spec spec = {0};
  int fd;
  ssize_t size = 0;
  snprintf(spec.chip, sizeof spec.chip, "%s", chip);
  spec.offset = offset;
  fd = open_file(&spec, kind, O_RDONLY);
  if (fd >= 0) {
    size = read(fd, text, LINE_NAME - 1);
    close(fd);
  }
  text[size > 0 ? size : 0] = 0;
}

static int tell_chip(const char *chip, void (*tell)(const line_info *)) {
  char path[512], rest[LINE_NAME], name[LINE_NAME], consumer[LINE_NAME];
  line_info info;
  path_of(path, sizeof path, chip, "");
  if (access(path, R_OK | X_OK) < 0) return -errno;
  info.chip = chip;
  info.label = "fake";
  info.name = name;
  info.consumer = consumer;
  for (info.offset = 0;; info.offset++) {
    snprintf(rest, sizeof rest, "/%u.name", (unsigned)info.offset);
    path_of(path, sizeof path, chip, rest);
    if (access(path, F_OK) < 0) return 0;
    read_text(chip, info.offset, "name", name);
    read_text(chip, info.offset, "busy", consumer);
    tell(&info);
  }
}

int line_list(void (*tell)(const line_info *)) {
  struct dirent **entries;
  char root[512];
  int count, i, result = -ENOENT;
  path_of(root, sizeof root, "", "");
  count = scandir(root, &entries, NULL, versionsort);
  for (i = 0; i < count; i++) {
    if (strncmp(entries[i]->d_name, "gpiochip", 8) == 0 && strlen(entries[i]->d_name) < LINE_NAME) {
      int told = tell_chip(entries[i]->d_name, tell);
      if (result != 0) result = told;
    }
    free(entries[i]);
  }
  if (count >= 0) free(entries);
  return result;
}
