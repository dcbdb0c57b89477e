#define _GNU_SOURCE
#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

static char *next_word(char **rest) {
  char *word;
  do word = strsep(rest, " ");
  while (word != NULL && *word == 0);
  return word;
}

/* A value of the signal's type. `text` must stay where it is. */
static bool parse(const node *n, uint16_t signal, const char *text, clasp_value *value) {
  uint8_t type = n->program->signals[signal].type;
  char *end;
  memset(value, 0, sizeof *value);
  if (type == CLASP_STRING) {
    value->text = text;
    return true;
  }
  if (text == NULL || *text == 0) return type == CLASP_NULL;
  if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
    value->i = *text == 't';
    return type == CLASP_BOOL;
  }
  switch (type) {
    case CLASP_F32:
    case CLASP_UNIT8:
    case CLASP_UNIT16: value->f = strtof(text, &end); break;
    case CLASP_F64: value->f64 = strtod(text, &end); break;
    case CLASP_I64: value->i64 = strtoll(text, &end, 10); break;
    default: value->i = (int32_t)strtol(text, &end, 10);
  }
  return *end == 0;
}

/* A copy that stays while the event is under way. */
static const char *passing(node *n, const char *text) {
  char *copy;
  if (text == NULL) return NULL;
  copy = n->texts[n->text_count++ % TEXTS];
  snprintf(copy, TEXT_BYTES, "%s", text);
  return copy;
}

/* A copy that stays as long as it is the signal's value. */
static const char *held(node *n, uint16_t signal, const char *text) {
  if (text == NULL) text = "";
  free(n->held[signal]);
  return n->held[signal] = strdup(text);
}

typedef clasp_result action(node *n, char *rest, const char **error);

static uint16_t take_signal(const node *n, char **rest, const char **error) {
  const char *word = next_word(rest);
  int signal = word == NULL ? -1 : find_signal(n, word);
  if (signal < 0) *error = "no such signal";
  return (uint16_t)(signal < 0 ? 0 : signal);
}

static clasp_result do_set(node *n, char *rest, const char **error) {
  uint16_t signal = take_signal(n, &rest, error);
  clasp_value value;
  if (*error != NULL) return CLASP_INVALID;
  if (n->program->signals[signal].type == CLASP_STRING) parse(n, signal, held(n, signal, rest), &value);
  else if (!parse(n, signal, rest, &value)) *error = "no value of the signal's type";
  return *error == NULL ? node_set(n, signal, value) : CLASP_INVALID;
}

static clasp_result do_emit(node *n, char *rest, const char **error) {
  uint16_t signal = take_signal(n, &rest, error);
  clasp_value value;
  if (*error == NULL && !parse(n, signal, passing(n, rest), &value)) *error = "no value of the signal's type";
  return *error == NULL ? clasp_emit(&n->link, signal, value) : CLASP_INVALID;
}

static clasp_result do_gesture(node *n, char *rest, const char **error) {
  uint16_t signal = take_signal(n, &rest, error);
  const char *id = next_word(&rest), *phase = next_word(&rest);
  clasp_value value;
  if (*error == NULL && phase == NULL) *error = "gesture SIGNAL ID PHASE [VALUE]";
  if (*error == NULL && !parse(n, signal, passing(n, rest), &value)) *error = "no value of the signal's type";
  return *error == NULL ? clasp_gesture(&n->link, signal, (uint8_t)atoi(id), (uint8_t)atoi(phase), value) : CLASP_INVALID;
}

static clasp_result do_stream(node *n, char *rest, const char **error) {
  uint16_t signal = take_signal(n, &rest, error);
  const char *interval = next_word(&rest), *word;
  clasp_value samples[64];
  uint8_t count = 0;
  while ((word = next_word(&rest)) != NULL && count < 64)
    if (*error == NULL && !parse(n, signal, word, &samples[count++])) *error = "no value of the signal's type";
  if (*error == NULL && count == 0) *error = "stream SIGNAL INTERVAL VALUE…";
  return *error == NULL ? clasp_stream(&n->link, signal, (uint16_t)atoi(interval), samples, count) : CLASP_INVALID;
}

static clasp_result do_get(node *n, char *rest, const char **error) {
  uint16_t signal = take_signal(n, &rest, error);
  return *error == NULL ? clasp_get(&n->link, signal) : CLASP_INVALID;
}

static clasp_result do_subscribe(node *n, char *rest, const char **error) {
  const char *slot = next_word(&rest), *pattern = next_word(&rest), *rate = next_word(&rest);
  unsigned long at = slot != NULL ? strtoul(slot, NULL, 10) : CLASP_LINK_SUBSCRIPTIONS;
  char *before;
  clasp_result result;
  if (at >= CLASP_LINK_SUBSCRIPTIONS) {
    *error = "no such slot";
    return CLASP_INVALID;
  }
  before = n->patterns[at];
  n->patterns[at] = pattern != NULL ? strdup(pattern) : NULL;
  result = clasp_subscribe(&n->link, (uint8_t)at, n->patterns[at], (uint16_t)(rate != NULL ? atoi(rate) : 0));
  if (result == CLASP_OK) {
    free(before);
    return result;
  }
  free(n->patterns[at]);
  n->patterns[at] = before;
  return result;
}

/* "0": now; "+MS": so much later; else Unix µs. */
static int64_t moment(const node *n, const char *text) {
  if (*text != '+') return strtoll(text, NULL, 10);
  return clasp_time(&n->link, local_us(n, now_ns())) + strtoll(text + 1, NULL, 10) * 1000;
}

static clasp_result do_bundle(node *n, char *rest, const char **error) {
  const char *at = next_word(&rest);
  char *word;
  clasp_result result;
  if (at == NULL) {
    *error = "bundle AT SIGNAL=VALUE…";
    return CLASP_INVALID;
  }
  result = clasp_bundle_begin(&n->link, moment(n, at));
  while (result == CLASP_OK && (word = next_word(&rest)) != NULL) {
    const char *name = strsep(&word, "=");
    int signal = find_signal(n, name);
    clasp_value value;
    if (signal < 0 || word == NULL) {
      *error = "no such signal";
      return CLASP_INVALID;
    }
    if (n->program->signals[signal].type == CLASP_STRING) word = (char *)held(n, (uint16_t)signal, word);
    if (!parse(n, (uint16_t)signal, word, &value)) {
      *error = "no value of the signal's type";
      return CLASP_INVALID;
    }
    result = clasp_bundle_add(&n->link, (uint16_t)signal, value);
  }
  return result == CLASP_OK ? clasp_bundle_send(&n->link) : result;
}

static clasp_result do_log(node *n, char *rest, const char **error) {
  const char *level = next_word(&rest);
  if (rest == NULL) *error = "log LEVEL TEXT";
  return *error == NULL ? clasp_log(&n->link, (uint8_t)atoi(level), rest) : CLASP_INVALID;
}

static clasp_result do_hold(node *n, char *rest, const char **error) {
  (void)error;
  clasp_hold(&n->link, rest == NULL || *rest != '0');
  return CLASP_OK;
}

static clasp_result do_sleep(node *n, char *rest, const char **error) {
  (void)error;
  if (n->link.state != CLASP_RUNNING) return CLASP_OFFLINE;
  n->sleep_seconds = (uint16_t)(rest != NULL ? atoi(rest) : 0);
  n->is_falling_asleep = true;
  return CLASP_OK;
}

static clasp_result do_wake(node *n, char *rest, const char **error) {
  (void)rest;
  (void)error;
  n->is_asleep = n->is_falling_asleep = false;
  clasp_wake(&n->link, local_us(n, now_ns()));
  return CLASP_OK;
}

static clasp_result do_mute(node *n, char *rest, const char **error) {
  (void)rest;
  (void)error;
  n->is_mute = true;
  return CLASP_OK;
}

static clasp_result do_unmute(node *n, char *rest, const char **error) {
  (void)rest;
  (void)error;
  n->is_mute = false;
  return CLASP_OK;
}

static clasp_result do_plug(node *n, char *rest, const char **error) {
  (void)rest;
  (void)error;
  port_plug(&n->port);
  return CLASP_OK;
}

static clasp_result do_unplug(node *n, char *rest, const char **error) {
  (void)rest;
  (void)error;
  port_unplug(&n->port);
  return CLASP_OK;
}

static clasp_result do_reset(node *n, char *rest, const char **error) {
  (void)rest;
  (void)error;
  node_boot(n);
  return CLASP_OK;
}

static const struct {
  const char *name;
  action *action;
} COMMANDS[] = {
    {"set", do_set},       {"emit", do_emit}, {"gesture", do_gesture}, {"stream", do_stream}, {"get", do_get},
    {"sub", do_subscribe}, {"unsub", do_subscribe}, {"bundle", do_bundle}, {"log", do_log},   {"hold", do_hold},
    {"sleep", do_sleep},   {"wake", do_wake}, {"mute", do_mute},       {"unmute", do_unmute}, {"plug", do_plug},
    {"unplug", do_unplug}, {"reset", do_reset},
};

/* For each of these nodes; the answer is the last result that is not ok. */
static void act(node *nodes, uint32_t count, action *action, const char *name, const char *rest) {
  clasp_result worst = CLASP_OK;
  const char *error = NULL;
  uint32_t i;
  for (i = 0; i < count && error == NULL; i++) {
    /* Its own copy each: the words are cut out of it. */
    char *copy = rest != NULL ? strdup(rest) : NULL;
    clasp_result result = action(nodes + i, copy, &error);
    if (result != CLASP_OK) worst = result;
    nodes[i].poll_at = 0;
    free(copy);
  }
  if (error != NULL) answer_error(name, error);
  else answer_result(name, worst);
}

void obey(node *nodes, uint32_t count, char *line) {
  char *rest = line, *name;
  size_t i;
  if (*line == '@') {
    unsigned long number = strtoul(line + 1, &rest, 10);
    if (number < 1 || number > count) {
      answer_error(line, "no such node");
      return;
    }
    nodes += number - 1;
    count = 1;
  }
  name = next_word(&rest);
  if (name == NULL) return;
  for (i = 0; i < sizeof COMMANDS / sizeof COMMANDS[0]; i++) {
    if (strcmp(COMMANDS[i].name, name) != 0) continue;
    act(nodes, count, COMMANDS[i].action, name, rest);
    return;
  }
  if (strcmp(name, "stats") == 0) {
    answer_stats(name, nodes, count);
  } else if (strcmp(name, "time") == 0) {
    answer_time(name, nodes);
  } else if (strcmp(name, "value") == 0) {
    const char *error = NULL;
    uint16_t signal = take_signal(nodes, &rest, &error);
    if (error != NULL) answer_error(name, error);
    else answer_value(name, nodes, signal);
  } else {
    answer_error(name, "unknown command");
  }
}
