#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "gpio_request.h"
#include "lines_sysfs.h"

/* No chip speaks the character device's language: the kernel is older than that. */
static bool is_old;

static int open_chip(const char *chip) {
  char path[LINE_NAME + 8];
  int fd;
  snprintf(path, sizeof path, "/dev/%s", chip);
  fd = open(path, O_RDWR | O_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

static int ask(const line_spec *spec, gpio_request *request) {
  int chip = open_chip(spec->chip), result;
  if (chip < 0) return chip;
  result = ioctl(chip, GPIO_GET_LINE, request) < 0 ? -errno : request->fd;
  close(chip);
  if (result >= 0) fcntl(result, F_SETFL, O_NONBLOCK);
  return result;
}

int line_open_input(const line_spec *spec) {
  gpio_request request;
  if (is_old) return sysfs_open_input(spec);
  gpio_request_input(&request, spec);
  return ask(spec, &request);
}

int line_get(int fd, const line_spec *spec) {
  gpio_values values = {0, 1};
  (void)spec;
  if (sysfs_has(fd)) return sysfs_get(fd);
  return ioctl(fd, GPIO_GET_VALUES, &values) < 0 ? -errno : (int)(values.bits & 1);
}

int line_set(int fd, const line_spec *spec, bool is_on) {
  gpio_values values = {is_on ? 1 : 0, 1};
  (void)spec;
  if (sysfs_has(fd)) return sysfs_set(fd, is_on);
  return ioctl(fd, GPIO_SET_VALUES, &values) < 0 ? -errno : 0;
}

static int configure(int fd, const line_spec *spec, bool is_output, bool is_on) {
  gpio_config config;
  gpio_configure(&config, spec, is_output, is_on);
  return ioctl(fd, GPIO_SET_CONFIG, &config) < 0 ? -errno : 0;
}

/* Somebody has made it an output, and it still is one. */
static bool is_driven(const line_spec *spec) {
  gpio_line_info info;
  int chip = open_chip(spec->chip), result;
  if (chip < 0) return false;
  memset(&info, 0, sizeof info);
  info.offset = spec->offset;
  result = ioctl(chip, GPIO_GET_LINEINFO, &info);
  close(chip);
  return result == 0 && (info.flags & GPIO_OUTPUT) != 0;
}

static int take_over(line_spec *spec) {
  gpio_request request;
  int fd, level, result;
  gpio_request_untouched(&request, spec);
  fd = ask(spec, &request);
  if (fd < 0) return fd;
  level = line_get(fd, spec);
  result = level < 0 ? level : configure(fd, spec, true, level != 0);
  if (result < 0) {
    close(fd);
    return result;
  }
  spec->is_on = level != 0;
  return fd;
}

int line_open_output(line_spec *spec) {
  gpio_request request;
  if (is_old) return sysfs_open_output(spec);
  if (spec->is_kept && is_driven(spec)) return take_over(spec);
  gpio_request_output(&request, spec);
  return ask(spec, &request);
}

int line_release(int fd, const line_spec *spec) {
  return sysfs_has(fd) ? sysfs_release(fd) : configure(fd, spec, false, false);
}

int line_drive(int fd, const line_spec *spec, bool is_on) {
  return sysfs_has(fd) ? sysfs_drive(fd, spec, is_on) : configure(fd, spec, true, is_on);
}

void line_close(int fd) {
  if (sysfs_has(fd)) sysfs_close(fd);
  else close(fd);
}

int line_edges(int fd, line_edge *edges, int room) {
  gpio_event events[64];
  int want = room < 64 ? room : 64, i;
  ssize_t size;
  if (sysfs_has(fd)) return sysfs_edges(fd, edges, room);
  size = read(fd, events, (size_t)want * sizeof events[0]);
  if (size < 0) return errno == EAGAIN || errno == EINTR ? 0 : -errno;
  for (i = 0; i < (int)((size_t)size / sizeof events[0]); i++) {
    edges[i].timestamp_ns = events[i].timestamp_ns;
    edges[i].sequence = events[i].line_sequence;
    edges[i].is_on = events[i].id == GPIO_RISING;
  }
  return i;
}

/* The number of lines that were told, or an error. */
static int tell_chip(const char *name, void (*tell)(const line_info *)) {
  gpio_chip_info chip;
  uint32_t at;
  int fd = open_chip(name), told = 0;
  if (fd < 0) return fd;
  memset(&chip, 0, sizeof chip);
  if (ioctl(fd, GPIO_GET_CHIPINFO, &chip) < 0) chip.lines = 0;
  chip.label[GPIO_NAME - 1] = 0;
  for (at = 0; at < chip.lines; at++) {
    gpio_line_info line;
    line_info info;
    memset(&line, 0, sizeof line);
    line.offset = at;
    if (ioctl(fd, GPIO_GET_LINEINFO, &line) < 0) continue;
    line.name[GPIO_NAME - 1] = line.consumer[GPIO_NAME - 1] = 0;
    info.chip = name;
    info.label = chip.label;
    info.offset = at;
    info.name = line.name;
    info.consumer = line.consumer[0] == 0 && (line.flags & GPIO_USED) ? "the kernel" : line.consumer;
    tell(&info);
    told++;
  }
  close(fd);
  return told;
}

static int list_chips(void (*tell)(const line_info *)) {
  struct dirent **entries;
  int count = scandir("/dev", &entries, NULL, versionsort), i, result = -ENOENT;
  for (i = 0; i < count; i++) {
    if (strncmp(entries[i]->d_name, "gpiochip", 8) == 0 && strlen(entries[i]->d_name) < LINE_NAME) {
      int told = tell_chip(entries[i]->d_name, tell);
      /* One that may not be opened counts more than one that says nothing. */
      if (result <= 0 && told != 0) result = told;
    }
    free(entries[i]);
  }
  if (count >= 0) free(entries);
  return result < 0 ? result : 0;
}

int line_list(void (*tell)(const line_info *)) {
  int result = getenv(SYSFS_VARIABLE) != NULL ? -ENOENT : list_chips(tell);
  is_old = result == -ENOENT && sysfs_list(tell) == 0;
  return is_old ? 0 : result;
}
