/*
 * Where lines come from: the kernel (lines_kernel.c, or lines_sysfs.c where that is old), or a folder of files for tests
 * (lines_fake.c). Levels are logical: active-low has been taken into account. Nothing blocks; errors are negative errno
 * values.
 */
#ifndef LINES_H
#define LINES_H

#include <stdbool.h>
#include <stdint.h>

enum { LINE_NAME = 32 };

/* Flags as in gpio_uapi.h. Texts end with 0. */
typedef struct line_spec {
  char chip[LINE_NAME];
  char consumer[LINE_NAME];
  uint32_t offset;
  uint32_t flags;
  uint32_t debounce_us;
  bool is_on;
  /* An output that begins with high impedance. */
  bool is_released;
  /* One that is an output already begins with the level that it has, which is_on then tells. */
  bool is_kept;
} line_spec;

typedef struct line_edge {
  uint64_t timestamp_ns;
  uint32_t sequence;
  bool is_on;
} line_edge;

typedef struct line_info {
  const char *chip, *label, *name, *consumer;
  uint32_t offset;
} line_info;

/* Descriptor of the line. That of an input becomes readable with its edges. */
int line_open_input(const line_spec *spec);
int line_open_output(line_spec *spec);
/* 0 or 1. */
int line_get(int fd, const line_spec *spec);
int line_set(int fd, const line_spec *spec, bool is_on);
/* An output of high impedance; line_drive makes it an output again. */
int line_release(int fd, const line_spec *spec);
int line_drive(int fd, const line_spec *spec, bool is_on);
/* Also takes descriptors that are no lines. */
void line_close(int fd);
/* How many edges were there, at most `room`. */
int line_edges(int fd, line_edge *edges, int room);
/* Tells every line of every chip; -ENOENT: there is no chip, -EACCES: none that may be opened. */
int line_list(void (*tell)(const line_info *info));

#endif
