#define _GNU_SOURCE
#include "outputs.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "../../process/c/program.h"
#include "messages.h"

#define US 1000u
#define MAX_STROBE_US 1000u
#define MIN_PERIOD_US 200u

line lines[MAX_LINES];

void tell_forced(uint16_t handle, uint8_t reason) {
  begin_message(OUT_FORCED);
  put_u16(handle);
  put_u8(lines[handle].is_on);
  put_u8(reason);
  send_message();
}

void tell_failed(uint16_t handle, int error) {
  begin_message(OUT_FAILED);
  put_u16(handle);
  put_u32((uint32_t)error);
  send_message();
}

void tell_done(uint16_t handle, uint32_t made) {
  begin_message(OUT_DONE);
  put_u16(handle);
  put_u32(made);
  send_message();
}

void line_free(uint16_t handle) {
  line *l = &lines[handle];
  uint8_t i;
  if (l->kind != GUARD) line_close(l->fd);
  for (i = 0; i < l->file_count; i++) line_close(l->files[i].fd);
  memset(&lines[handle], 0, sizeof lines[handle]);
}

/* Everything that changes a level goes through here. */
static void apply(uint16_t handle, bool is_on) {
  line *o = &lines[handle];
  int result = o->is_released ? line_drive(o->fd, &o->spec, is_on) : line_set(o->fd, &o->spec, is_on);
  if (result < 0) {
    tell_failed(handle, -result);
    return;
  }
  o->is_released = false;
  if (is_on && !o->is_on) o->off_by = o->max_on > 0 ? now_ns() + o->max_on : 0;
  if (!is_on) {
    if (o->is_on) o->off_at = now_ns();
    o->off_by = 0;
  }
  o->is_on = is_on;
}

/* Before anything else changes the level. A pulse that has begun is one: motor drivers step at its first edge. */
static void end_pulses(uint16_t handle) {
  line *o = &lines[handle];
  uint32_t made = o->pulses - o->pulses_left + o->is_on;
  if (o->pulses_left == 0) return;
  o->pulses_left = 0;
  tell_done(handle, made);
}

static bool is_partner(uint16_t handle, uint16_t other) {
  return other != handle && lines[other].kind == OUTPUT && lines[other].interlock == lines[handle].interlock;
}

/* Makes room for one that is to go on. When it may, or UINT64_MAX for never. */
static uint64_t clear_interlock(uint16_t handle, uint64_t now) {
  line *o = &lines[handle];
  uint64_t when = now;
  uint16_t other;
  for (other = 0; other < MAX_LINES; other++) {
    line *p = &lines[other];
    if (!is_partner(handle, other)) continue;
    if (p->is_on || p->on_when > 0) {
      if (o->rejects) return UINT64_MAX;
      p->on_when = 0;
      if (p->is_on) apply(other, false);
      /* It could not be switched off. */
      if (p->is_on) return UINT64_MAX;
      tell_forced(other, FORCED_INTERLOCK);
    }
    if (p->off_at > 0 && p->off_at + o->dead_time > when) when = p->off_at + o->dead_time;
  }
  return when;
}

void output_set(uint16_t handle, bool is_on) {
  line *o = &lines[handle];
  uint64_t now = now_ns(), when = now;
  end_pulses(handle);
  if (!is_on) o->on_when = 0;
  else if (o->is_on || o->on_when > 0) return;
  else if (o->interlock != 0) when = clear_interlock(handle, now);
  if (when == UINT64_MAX) tell_forced(handle, FORCED_INTERLOCK);
  else if (when > now) o->on_when = when;
  else apply(handle, is_on);
}

void output_strobe(uint16_t handle, uint32_t us) {
  uint64_t until;
  if (lines[handle].interlock != 0 || us == 0 || us > MAX_STROBE_US) return;
  apply(handle, true);
  /* Too short to sleep. */
  until = now_ns() + us * US;
  while (now_ns() < until) continue;
  apply(handle, false);
}

void output_pulses(uint16_t handle, uint32_t count, uint32_t period_us) {
  line *o = &lines[handle];
  end_pulses(handle);
  if (count > 0 && (o->interlock != 0 || period_us < MIN_PERIOD_US)) {
    tell_done(handle, 0);
    return;
  }
  if (o->is_on && o->interlock == 0) apply(handle, false);
  o->pulses = o->pulses_left = count;
  o->pulse_half = period_us * (uint64_t)US / 2;
  o->pulse_next = now_ns();
}

static void release(uint16_t handle) {
  line *o = &lines[handle];
  if (line_release(o->fd, &o->spec) < 0) {
    /* Not every chip can: off is the next best. */
    apply(handle, false);
    return;
  }
  if (o->is_on) o->off_at = now_ns();
  o->is_released = true;
  o->is_on = false;
  o->off_by = 0;
}

void output_release(uint16_t handle) {
  lines[handle].on_when = 0;
  end_pulses(handle);
  release(handle);
}

static void write_files(uint16_t handle) {
  line *l = &lines[handle];
  uint8_t i;
  for (i = 0; i < l->file_count; i++) {
    const guarded_file *f = &l->files[i];
    if (pwrite(f->fd, f->content, strlen(f->content), 0) < 0) tell_failed(handle, errno);
  }
}

bool line_safe(uint16_t handle) {
  line *o = &lines[handle];
  bool was_busy = o->on_when > 0 || o->pulses_left > 0;
  if (o->kind == GUARD) {
    write_files(handle);
    return true;
  }
  o->on_when = 0;
  end_pulses(handle);
  if (o->safe == SAFE_HOLD || (o->safe == SAFE_RELEASE && o->is_released)) return was_busy;
  if (o->safe == SAFE_RELEASE) {
    release(handle);
    return true;
  }
  if (o->is_on == (o->safe == SAFE_ON) && !o->is_released) return was_busy;
  apply(handle, o->safe == SAFE_ON);
  return true;
}

static uint64_t sooner(uint64_t a, uint64_t b) { return a == 0 || (b > 0 && b < a) ? b : a; }

static void run_pulses(uint16_t handle, uint64_t now) {
  line *o = &lines[handle];
  if (o->pulses_left == 0 || o->pulse_next > now) return;
  apply(handle, !o->is_on);
  /* Never two steps at once to catch up: a motor would lose them. */
  o->pulse_next = o->pulse_next + 2 * o->pulse_half < now ? now + o->pulse_half : o->pulse_next + o->pulse_half;
  if (o->is_on || --o->pulses_left > 0) return;
  tell_done(handle, o->pulses);
}

uint64_t outputs_run(uint64_t now) {
  uint64_t next = 0;
  uint16_t handle;
  for (handle = 0; handle < MAX_LINES; handle++) {
    line *o = &lines[handle];
    if (o->kind != OUTPUT) continue;
    if (o->off_by > 0 && o->off_by <= now) {
      end_pulses(handle);
      apply(handle, false);
      tell_forced(handle, FORCED_MAX_ON);
    }
    if (o->on_when > 0 && o->on_when <= now) {
      o->on_when = 0;
      apply(handle, true);
      tell_forced(handle, FORCED_INTERLOCK);
    }
    run_pulses(handle, now);
    next = sooner(next, o->off_by);
    next = sooner(next, o->on_when);
    if (o->pulses_left > 0) next = sooner(next, o->pulse_next);
  }
  return next;
}
