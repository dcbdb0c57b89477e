/*
 * What arrives on in0 … in3 is published on out0 … out3 at once, and each ping is answered by a pong.
 */
#include "node.h"

enum { INPUTS = 4, PING = 8, PONG = 9 };

static const clasp_signal SIGNALS[] = {
    {"in0", CLASP_F32, CLASP_PARAM | CLASP_IN, 0, 0, "", 0},
    {"in1", CLASP_F32, CLASP_PARAM | CLASP_IN, 0, 0, "", 0},
    {"in2", CLASP_F32, CLASP_PARAM | CLASP_IN, 0, 0, "", 0},
    {"in3", CLASP_F32, CLASP_PARAM | CLASP_IN, 0, 0, "", 0},
    {"out0", CLASP_F32, CLASP_PARAM | CLASP_OUT, 0, 0, "", 0},
    {"out1", CLASP_F32, CLASP_PARAM | CLASP_OUT, 0, 0, "", 0},
    {"out2", CLASP_F32, CLASP_PARAM | CLASP_OUT, 0, 0, "", 0},
    {"out3", CLASP_F32, CLASP_PARAM | CLASP_OUT, 0, 0, "", 0},
    {"ping", CLASP_I32, CLASP_EVENT | CLASP_IN, 0, 0, "", 0},
    {"pong", CLASP_I32, CLASP_EVENT | CLASP_OUT, 0, 0, "", 0},
};

static void on_input(node *n, uint16_t signal, const clasp_input *input) {
  if (signal < INPUTS && input->type == CLASP_F32) node_set(n, (uint16_t)(signal + INPUTS), input->value);
  if (signal == PING) clasp_emit(&n->link, PONG, input->value);
}

const program echo_program = {SIGNALS, sizeof SIGNALS / sizeof SIGNALS[0], NULL, on_input, NULL};
