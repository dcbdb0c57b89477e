#define _GNU_SOURCE
#include "report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

bool is_quiet;

static const char *const STATES[] = {"announcing", "syncing", "running"};
static const char *const WHYS[] = {"changed", "initial", "happened", "fellBack"};

static void put_text(const char *text, size_t length) {
  size_t i;
  putchar('"');
  for (i = 0; i < length; i++) {
    unsigned char byte = (unsigned char)text[i];
    if (byte < 0x20) printf("\\u%04x", byte);
    else if (byte == '"' || byte == '\\') printf("\\%c", byte);
    else putchar(byte);
  }
  putchar('"');
}

static void put_number(double value, int digits) {
  if (isfinite(value)) printf("%.*g", digits, value);
  else printf("\"%s\"", isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
}

static void put_value(uint8_t type, const clasp_value *value) {
  switch (type) {
    case CLASP_BOOL: fputs(value->i != 0 ? "true" : "false", stdout); break;
    case CLASP_I8:
    case CLASP_I16:
    case CLASP_I32: printf("%" PRId32, value->i); break;
    case CLASP_I64: printf("%" PRId64, value->i64); break;
    case CLASP_F32:
    case CLASP_UNIT8:
    case CLASP_UNIT16: put_number((double)value->f, 9); break;
    case CLASP_F64: put_number(value->f64, 17); break;
    case CLASP_STRING:
      if (value->text != NULL) {
        put_text(value->text, strlen(value->text));
        break;
      }
    /* fall through */
    default: fputs("null", stdout);
  }
}

static void put_signal(const node *n, uint16_t signal) {
  uint32_t i;
  if (signal < n->program->signal_count) {
    put_text(n->program->signals[signal].address, strlen(n->program->signals[signal].address));
    return;
  }
  for (i = 0; i < n->match_count; i++) {
    if (n->matches[i].signal != signal) continue;
    put_text(n->matches[i].address, strlen(n->matches[i].address));
    return;
  }
  printf("%u", signal);
}

/* Starts a happening; false: nobody wants to know. */
static bool begin(const node *n) {
  if (is_quiet) return false;
  putchar('{');
  if (n->number != 0) printf("\"node\":%" PRIu32 ",", n->number);
  return true;
}

void report_state(const node *n, clasp_state state) {
  if (begin(n)) printf("\"state\":\"%s\"}\n", STATES[state]);
}

void report_asleep(const node *n) {
  if (begin(n)) puts("\"state\":\"asleep\"}");
}

void report_input(const node *n, uint16_t signal, const clasp_input *input) {
  uint16_t i;
  if (!begin(n)) return;
  fputs("\"input\":", stdout);
  put_signal(n, signal);
  fputs(",\"value\":", stdout);
  if (input->type == CLASP_STRING) {
    put_text((const char *)input->bytes, input->length);
  } else if (input->type == CLASP_BYTES) {
    putchar('"');
    for (i = 0; i < input->length; i++) printf("%02x", input->bytes[i]);
    putchar('"');
  } else {
    put_value(input->type, &input->value);
  }
  printf(",\"type\":%u,\"why\":\"%s\"", input->type, WHYS[input->why]);
  if (input->at_us != 0) printf(",\"atUs\":%" PRId64, input->at_us);
  puts("}");
}

void report_match(const node *n, uint16_t signal, const char *address, uint8_t length) {
  if (!begin(n)) return;
  fputs("\"match\":", stdout);
  put_text(address, length);
  printf(",\"id\":%u}\n", signal);
}

void report_refused(const node *n, uint16_t signal, uint16_t code) {
  if (!begin(n)) return;
  fputs("\"refused\":", stdout);
  put_signal(n, signal);
  printf(",\"code\":%u}\n", code);
}

void report_baud(const node *n, uint32_t baud) {
  if (begin(n)) printf("\"baud\":%" PRIu32 "}\n", baud);
}

static void begin_answer(const char *command) {
  fputs("{\"answer\":", stdout);
  put_text(command, strlen(command));
}

void answer_result(const char *command, clasp_result result) {
  static const char *const RESULTS[] = {"ok", "offline", "busy", "invalid"};
  begin_answer(command);
  printf(",\"result\":\"%s\"}\n", RESULTS[-(int)result]);
}

void answer_error(const char *command, const char *error) {
  begin_answer(command);
  fputs(",\"error\":", stdout);
  put_text(error, strlen(error));
  puts("}");
}

void answer_value(const char *command, const node *n, uint16_t signal) {
  begin_answer(command);
  fputs(",\"value\":", stdout);
  if (n->has_value[signal]) put_value(n->program->signals[signal].type, &n->values[signal]);
  else fputs("null", stdout);
  puts("}");
}

void answer_stats(const char *command, const node *nodes, uint32_t count) {
  uint64_t frames = 0, bad = 0, resent = 0, lost_link = 0, lost_events = 0, bytes_in = 0, bytes_out = 0, polls = 0;
  uint32_t running = 0, i;
  for (i = 0; i < count; i++) {
    const node *n = nodes + i;
    running += n->link.state == CLASP_RUNNING;
    frames += n->link.counters.frames;
    bad += n->link.counters.bad;
    resent += n->link.counters.resent;
    lost_link += n->link.counters.lost_link;
    lost_events += n->link.counters.lost_events;
    bytes_in += n->port.bytes_in;
    bytes_out += n->port.bytes_out;
    polls += n->polls;
  }
  begin_answer(command);
  printf(",\"state\":\"%s\",\"running\":%" PRIu32 ",\"frames\":%" PRIu64 ",\"bad\":%" PRIu64 ",\"resent\":%" PRIu64 ",\"lostLink\":%" PRIu64
         ",\"lostEvents\":%" PRIu64 ",\"bytesIn\":%" PRIu64 ",\"bytesOut\":%" PRIu64 ",\"polls\":%" PRIu64 "}\n",
         STATES[nodes->link.state], running, frames, bad, resent, lost_link, lost_events, bytes_in, bytes_out, polls);
}

void answer_time(const char *command, const node *n) {
  int64_t real = unix_us();
  int64_t estimate = clasp_time(&n->link, local_us(n, now_ns()));
  begin_answer(command);
  if (estimate == 0) {
    printf(",\"estimateUs\":null,\"realUs\":%" PRId64 ",\"errorUs\":null}\n", real);
    return;
  }
  printf(",\"estimateUs\":%" PRId64 ",\"realUs\":%" PRId64 ",\"errorUs\":%" PRId64 "}\n", estimate, real, estimate - real);
}
