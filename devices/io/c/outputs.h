/*
 * All lines, and what outputs do and may not do whatever they are told: longest time on, interlocks, safe states.
 */
#ifndef OUTPUTS_H
#define OUTPUTS_H

#include "lines.h"

enum { MAX_LINES = 256, MAX_FILES = 2 };
enum { FREE, INPUT, OUTPUT, GUARD };
enum { SAFE_OFF, SAFE_ON, SAFE_HOLD, SAFE_RELEASE };
enum { FORCED_MAX_ON = 1, FORCED_WATCHDOG, FORCED_INTERLOCK };

/* What is written to a file when it is to be safe. */
typedef struct guarded_file {
  int fd;
  char content[LINE_NAME];
} guarded_file;

typedef struct line {
  uint8_t kind;
  int fd;
  line_spec spec;
  /* Outputs. Times are in ns; 0 = none. */
  bool is_on, is_released, rejects;
  uint8_t safe, interlock;
  uint64_t max_on, dead_time;
  uint64_t off_by, off_at, on_when;
  uint32_t pulses, pulses_left;
  uint64_t pulse_half, pulse_next;
  /* Guards: in the order in which they are written. */
  guarded_file files[MAX_FILES];
  uint8_t file_count;
} line;

/* By handle. */
extern line lines[MAX_LINES];

void output_set(uint16_t handle, bool is_on);
/* High impedance, until it is set. */
void output_release(uint16_t handle);
void output_strobe(uint16_t handle, uint32_t us);
void output_pulses(uint16_t handle, uint32_t count, uint32_t period_us);
/* Puts one output or guard into its safe state. False: it was there already. */
bool line_safe(uint16_t handle);
/* Does what has fallen due. Returns when the next falls due, or 0. */
uint64_t outputs_run(uint64_t now);

/* Whatever it is: closed and forgotten. */
void line_free(uint16_t handle);

void tell_forced(uint16_t handle, uint8_t reason);
void tell_failed(uint16_t handle, int error);
/* `made`: pulses of those that were asked for. */
void tell_done(uint16_t handle, uint32_t made);

#endif
