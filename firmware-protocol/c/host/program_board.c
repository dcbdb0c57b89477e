/*
 * A board that exists only in software: a few sensors that move and one output. The same signals as
 * devices/simulated/simulated-board.ts, which runs where there is no C compiler.
 */
#include <math.h>
#include <string.h>

#include "node.h"

enum { TEMPERATURE, LIGHT, KNOB, BUTTON, BUTTON_STATE, LED, LED_CHANGES };

static const clasp_signal SIGNALS[] = {
    {"/sim/temperature", CLASP_F64, CLASP_PARAM | CLASP_OUT | CLASP_RANGE, 15, 30, "\xC2\xB0" "C", 0},
    {"/sim/light", CLASP_F64, CLASP_PARAM | CLASP_OUT | CLASP_RANGE, 0, 1000, "lx", 0},
    {"/sim/knob", CLASP_F64, CLASP_PARAM | CLASP_OUT | CLASP_RANGE, 0, 1, "", 0},
    {"/sim/button", CLASP_STRING, CLASP_EVENT | CLASP_OUT, 0, 0, "", 0},
    {"/sim/button/state", CLASP_BOOL, CLASP_PARAM | CLASP_OUT, 0, 0, "", 0},
    {"/sim/led", CLASP_BOOL, CLASP_PARAM | CLASP_OUT | CLASP_IN | CLASP_SAFE, 0, 0, "", 0},
    {"/sim/led/changes", CLASP_I64, CLASP_PARAM | CLASP_OUT, 0, 0, "", 0},
};

#define TICK_NS 100000000u
#define PI 3.14159265358979323846

/* A sensor reports a change that is worth it. */
static void sense(node *n, uint16_t signal, double value, double deadband) {
  board_state *s = &n->state.board;
  if (s->has_shown[signal] && fabs(value - s->shown[signal]) < deadband) return;
  s->shown[signal] = value;
  s->has_shown[signal] = true;
  node_set_float(n, signal, value);
}

static void press(node *n, bool is_down) {
  clasp_value v;
  memset(&v, 0, sizeof v);
  v.text = is_down ? "press" : "release";
  clasp_emit(&n->link, BUTTON, v);
  node_set_int(n, BUTTON_STATE, is_down);
}

static void start(node *n) {
  n->state.board.temperature = 21;
  n->state.board.next_press = 30;
  node_set_int(n, LED, 0);
  node_set_int(n, BUTTON_STATE, 0);
  node_set_int(n, LED_CHANGES, 0);
}

static void on_input(node *n, uint16_t signal, const clasp_input *input) {
  board_state *s = &n->state.board;
  bool is_lit = input->value.i != 0;
  if (signal != LED || input->type != CLASP_BOOL || is_lit == s->is_lit) return;
  s->is_lit = is_lit;
  node_set_int(n, LED_CHANGES, ++s->switched);
}

static uint64_t tick(node *n, uint64_t now) {
  board_state *s = &n->state.board;
  double seconds = (double)s->ticks++ * TICK_NS / 1e9;
  sense(n, KNOB, round((0.5 - 0.5 * cos(seconds / 20 * 2 * PI)) * 1000) / 1000, 0.005);
  if (s->ticks % 5 == 0) {
    s->temperature = fmin(30, fmax(15, s->temperature + (draw_fraction(n) - 0.5) * 0.2));
    sense(n, TEMPERATURE, round(s->temperature * 100) / 100, 0.05);
    sense(n, LIGHT, round(400 + 300 * sin(seconds / 30) + draw_fraction(n) * 10), 5);
  }
  if (s->ticks == s->pressed_until) {
    press(n, false);
  } else if (s->ticks >= s->next_press) {
    press(n, true);
    s->pressed_until = s->ticks + 3;
    s->next_press = s->ticks + 30 + (uint32_t)(draw_fraction(n) * 70);
  }
  return now + TICK_NS;
}

const program board_program = {SIGNALS, sizeof SIGNALS / sizeof SIGNALS[0], start, on_input, tick};
