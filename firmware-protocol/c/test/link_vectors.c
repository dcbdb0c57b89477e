/*
 * A device that tests drive over stdin and stdout: a command a line, then what happened, a line each, then a full stop.
 * Its clock stands still but for `run`, so that the same commands always bring the same answers.
 *
 *     signal ADDRESS TYPE FLAGS MINIMUM MAXIMUM UNIT SAFE   one more signal; UNIT - has none
 *     init FORM NAME UID NONCE BAUD MAXBAUD SLEEPY KEY FIRMWARE   KEY and FIRMWARE - have none
 *     rx HEX                  bytes, or one datagram, that the next poll finds
 *     run US                  polls every millisecond
 *     set I VALUE, emit I VALUE, gesture I ID PHASE VALUE, stream I INTERVAL COUNT VALUE…, get I
 *     begin AT, add I VALUE, send, subscribe SLOT PATTERN RATE, hold 0|1, log LEVEL HEX, sleep S, wake
 *     interval I, counters
 *
 * Values: decimal, floats as their bits in hexadecimal, texts as the hexadecimal of their bytes.
 */
#include "../src/clasp_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 8192, WAITING = 64, TEXT = 256 };

static clasp_link device;
static clasp_config config;
static clasp_signal signals[CLASP_LINK_SIGNALS];
static uint16_t signal_count;
static uint32_t now_us;
static uint8_t uid[8], key[32];
static char name[32], firmware[32], patterns[8][64];
/* Texts stay where they are while the library may send them. */
static char texts[CLASP_LINK_SIGNALS][TEXT];

static uint8_t waiting[WAITING][LINE];
static size_t waiting_length[WAITING], waiting_at;
static unsigned waiting_count;

static void print_hex(const uint8_t *bytes, size_t count) {
  size_t i;
  if (count == 0) printf("-");
  for (i = 0; i < count; i++) printf("%02x", bytes[i]);
}

static size_t from_hex(const char *text, uint8_t *bytes, size_t room) {
  size_t count = 0;
  unsigned byte;
  if (strcmp(text, "-") == 0) return 0;
  while (count < room && sscanf(text + 2 * count, "%2x", &byte) == 1) bytes[count++] = (uint8_t)byte;
  return count;
}

static size_t put(void *context, const uint8_t *bytes, size_t count) {
  (void)context;
  printf("tx %lu ", (unsigned long)now_us);
  print_hex(bytes, count);
  printf("\n");
  return count;
}

static size_t get(void *context, uint8_t *bytes, size_t room) {
  size_t count;
  (void)context;
  if (waiting_count == 0) return 0;
  count = waiting_length[0] - waiting_at;
  if (count > room) count = room;
  memcpy(bytes, waiting[0] + waiting_at, count);
  waiting_at += count;
  /* What a datagram has too much is lost, as recv loses it. */
  if (waiting_at == waiting_length[0] || config.form != CLASP_SERIAL) {
    waiting_at = 0;
    waiting_count--;
    memmove(waiting_length, waiting_length + 1, waiting_count * sizeof waiting_length[0]);
    memmove(waiting, waiting + 1, waiting_count * sizeof waiting[0]);
  }
  return count;
}

static uint8_t is_float(uint8_t type) { return type == CLASP_F32 || type == CLASP_UNIT8 || type == CLASP_UNIT16; }

static void on_input(void *context, uint16_t signal, const clasp_input *input) {
  uint32_t bits;
  (void)context;
  printf("input %u %u %u ", signal, input->type, input->why);
  if (input->type == CLASP_STRING || input->type == CLASP_BYTES) {
    print_hex(input->bytes, input->length);
  } else if (is_float(input->type)) {
    memcpy(&bits, &input->value.f, 4);
    printf("%08lx", (unsigned long)bits);
#if CLASP_LINK_64BIT
  } else if (input->type == CLASP_F64) {
    uint64_t wide;
    memcpy(&wide, &input->value.f64, 8);
    printf("%016llx", (unsigned long long)wide);
  } else if (input->type == CLASP_I64) {
    printf("%lld", (long long)input->value.i64);
#endif
  } else {
    printf("%ld", (long)input->value.i);
  }
  printf(" %lld\n", (long long)input->at_us);
}

static void on_state(void *context, clasp_state state) {
  (void)context;
  printf("state %d\n", (int)state);
}

static void on_match(void *context, uint16_t signal, const char *address, uint8_t length) {
  (void)context;
  printf("match %u ", signal);
  print_hex((const uint8_t *)address, length);
  printf("\n");
}

static void on_refused(void *context, uint16_t signal, uint16_t code) {
  (void)context;
  printf("refused %u %u\n", signal, code);
}

static void set_baud(void *context, uint32_t baud) {
  (void)context;
  printf("baud %lu\n", (unsigned long)baud);
}

static const char *word(void) {
  const char *text = strtok(NULL, " ");
  return text != NULL ? text : "-";
}

static unsigned long number(void) { return strtoul(word(), NULL, 0); }

static clasp_value value_of(uint16_t signal) {
  const char *text = word();
  uint8_t type = signal < signal_count ? signals[signal].type : (uint8_t)CLASP_I32;
  clasp_value value;
  memset(&value, 0, sizeof value);
  if (type == CLASP_STRING) {
    texts[signal][from_hex(text, (uint8_t *)texts[signal], TEXT - 1)] = 0;
    value.text = texts[signal];
  } else if (is_float(type)) {
    uint32_t bits = (uint32_t)strtoul(text, NULL, 16);
    memcpy(&value.f, &bits, 4);
#if CLASP_LINK_64BIT
  } else if (type == CLASP_F64) {
    uint64_t bits = strtoull(text, NULL, 16);
    memcpy(&value.f64, &bits, 8);
  } else if (type == CLASP_I64) {
    value.i64 = strtoll(text, NULL, 10);
#endif
  } else {
    value.i = (int32_t)strtol(text, NULL, 10);
  }
  return value;
}

static void add_signal(void) {
  clasp_signal *signal = &signals[signal_count++];
  const char *unit;
  memset(signal, 0, sizeof *signal);
  strncpy(signal->address, word(), CLASP_LINK_ADDRESS - 1);
  signal->type = (uint8_t)number();
  signal->flags = (uint8_t)number();
  signal->minimum = strtof(word(), NULL);
  signal->maximum = strtof(word(), NULL);
  unit = word();
  if (strcmp(unit, "-") != 0) strncpy(signal->unit, unit, CLASP_LINK_UNIT - 1);
  signal->safe = strtof(word(), NULL);
}

static clasp_result start(void) {
  uint32_t nonce;
  const char *text;
  memset(&config, 0, sizeof config);
  config.form = (uint8_t)number();
  strncpy(name, word(), sizeof name - 1);
  from_hex(word(), uid, sizeof uid);
  nonce = (uint32_t)number();
  config.baud = (uint32_t)number();
  config.max_baud = (uint32_t)number();
  config.is_sleepy = (uint8_t)number();
  if (from_hex(word(), key, sizeof key) == sizeof key) config.key = key;
  text = word();
  strncpy(firmware, text, sizeof firmware - 1);
  if (strcmp(text, "-") != 0) config.firmware = firmware;
  config.name = name;
  config.uid = uid;
  config.signals = signals;
  config.signal_count = signal_count;
  config.write = put;
  config.read = get;
  config.on_input = on_input;
  config.on_state = on_state;
  config.on_match = on_match;
  config.on_refused = on_refused;
  if (config.max_baud != 0) config.set_baud = set_baud;
  waiting_count = 0;
  waiting_at = 0;
  now_us = 1000000;
  return clasp_init(&device, &config, nonce, now_us);
}

static void run(unsigned long us) {
  clasp_poll(&device, now_us);
  while (us > 0) {
    unsigned long step = us < 1000 ? us : 1000;
    now_us += (uint32_t)step;
    us -= step;
    clasp_poll(&device, now_us);
  }
}

static clasp_result stream(void) {
  static clasp_value samples[255];
  uint16_t signal = (uint16_t)number(), interval = (uint16_t)number();
  uint8_t count = (uint8_t)number(), i;
  for (i = 0; i < count; i++) samples[i] = value_of(signal);
  return clasp_stream(&device, signal, interval, samples, count);
}

static void command(const char *verb) {
  int result = 0;
  uint16_t signal;
  if (strcmp(verb, "rx") == 0) {
    if (waiting_count == WAITING) result = CLASP_BUSY;
    else waiting_length[waiting_count] = from_hex(word(), waiting[waiting_count], LINE), waiting_count++;
  } else if (strcmp(verb, "run") == 0) {
    run(number());
  } else if (strcmp(verb, "signal") == 0) {
    if (signal_count < CLASP_LINK_SIGNALS) add_signal();
    else result = CLASP_INVALID;
  } else if (strcmp(verb, "init") == 0) {
    result = start();
  } else if (strcmp(verb, "set") == 0) {
    signal = (uint16_t)number();
    result = clasp_set(&device, signal, value_of(signal));
  } else if (strcmp(verb, "emit") == 0) {
    signal = (uint16_t)number();
    result = clasp_emit(&device, signal, value_of(signal));
  } else if (strcmp(verb, "gesture") == 0) {
    uint8_t id, phase;
    signal = (uint16_t)number();
    id = (uint8_t)number();
    phase = (uint8_t)number();
    result = clasp_gesture(&device, signal, id, phase, value_of(signal));
  } else if (strcmp(verb, "stream") == 0) {
    result = stream();
  } else if (strcmp(verb, "get") == 0) {
    result = clasp_get(&device, (uint16_t)number());
#if CLASP_LINK_BUNDLES
  } else if (strcmp(verb, "begin") == 0) {
    result = clasp_bundle_begin(&device, strtoll(word(), NULL, 10));
  } else if (strcmp(verb, "add") == 0) {
    signal = (uint16_t)number();
    result = clasp_bundle_add(&device, signal, value_of(signal));
  } else if (strcmp(verb, "send") == 0) {
    result = clasp_bundle_send(&device);
#endif
#if CLASP_LINK_SUBSCRIPTIONS
  } else if (strcmp(verb, "subscribe") == 0) {
    uint8_t slot = (uint8_t)(number() & 7);
    strncpy(patterns[slot], word(), sizeof patterns[slot] - 1);
    result = clasp_subscribe(&device, slot, strcmp(patterns[slot], "-") == 0 ? NULL : patterns[slot], (uint16_t)number());
#endif
#if CLASP_LINK_SAMPLING
  } else if (strcmp(verb, "interval") == 0) {
    result = clasp_interval(&device, (uint16_t)number());
#endif
  } else if (strcmp(verb, "hold") == 0) {
    clasp_hold(&device, (uint8_t)number());
  } else if (strcmp(verb, "log") == 0) {
    char text[TEXT];
    uint8_t level = (uint8_t)number();
    text[from_hex(word(), (uint8_t *)text, TEXT - 1)] = 0;
    result = clasp_log(&device, level, text);
  } else if (strcmp(verb, "sleep") == 0) {
    result = clasp_sleep(&device, (uint16_t)number());
  } else if (strcmp(verb, "wake") == 0) {
    clasp_wake(&device, now_us);
  } else if (strcmp(verb, "counters") == 0) {
    const clasp_counters *c = &device.counters;
    printf("counters %u %u %u %u %u\n", c->frames, c->bad, c->resent, c->lost_link, c->lost_events);
  } else {
    printf("unknown %s\n", verb);
  }
  if (result != 0) printf("result %d\n", result);
}

int main(void) {
  static char line[2 * LINE];
  while (fgets(line, sizeof line, stdin) != NULL) {
    const char *verb;
    line[strcspn(line, "\r\n")] = 0;
    verb = strtok(line, " ");
    if (verb == NULL) continue;
    command(verb);
    printf(".\n");
    fflush(stdout);
  }
  return 0;
}
