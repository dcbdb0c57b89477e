/*
 * A microcontroller that proves what its link does: the library on a serial port, with as much traffic as the line takes,
 * every value of which carries its own check. What it counts is compared with what the router's side counts.
 *
 *   proof-device PORT [SEED]
 *
 * Commands are lines on stdin: `go` and `stop` start and end its traffic, `stats` tells. It prints JSON lines: the answer to
 * each command, and {"state":"running"|"announcing"|"syncing","emitted":N,"order":N} whenever the link comes or goes.
 *
 * A sealed value is a number n below 2^24 times 2^28, plus 28 bits that follow from n and the signal (`seal`).
 *
 *   event        event out    sealed, counted from 1 without a gap
 *   p0 … p7      param out    sealed, counting up; some are skipped
 *   q0, q1       param out    the same, without acknowledgement
 *   text         param out    "N CHECK" and filling; reliable
 *   wave         stream out   blocks of i32: n of 20 bits, 12 bits of check, counting up in each block
 *   seen         param out    the last `order` that came, sealed
 *   order        event in     sealed, counted from 1
 *   in0 … in3    param in     sealed, counting up
 *   label        param in     as text
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "../../firmware-protocol/c/host/port.h"
#include "../../firmware-protocol/c/src/clasp_link.h"

enum { EVENT, P0, Q0 = P0 + 8, TEXT = Q0 + 2, WAVE, SEEN, ORDER, IN0, LABEL = IN0 + 4, SIGNALS };
enum { SAMPLES = 56, BLOCKS_PER_ROUND = 2, TEXT_BYTES = 100, MOST_BYTES = 200 };

static const clasp_signal TABLE[SIGNALS] = {
    {"event", CLASP_I64, CLASP_EVENT | CLASP_OUT, 0, 0, "", 0},
    {"p0", CLASP_I64, CLASP_PARAM | CLASP_OUT, 0, 0, "", 0},
    {"p1", CLASP_I64, CLASP_PARAM | CLASP_OUT, 0, 0, "", 0},
    {"p2", CLASP_I64, CLASP_PARAM | CLASP_OUT, 0, 0, "", 0},
    {"p3", CLASP_I64, CLASP_PARAM | CLASP_OUT, 0, 0, "", 0},
    {"p4", CLASP_I64, CLASP_PARAM | CLASP_OUT, 0, 0, "", 0},
    {"p5", CLASP_I64, CLASP_PARAM | CLASP_OUT, 0, 0, "", 0},
    {"p6", CLASP_I64, CLASP_PARAM | CLASP_OUT, 0, 0, "", 0},
    {"p7", CLASP_I64, CLASP_PARAM | CLASP_OUT, 0, 0, "", 0},
    {"q0", CLASP_I64, CLASP_PARAM | CLASP_OUT | CLASP_LOSSY, 0, 0, "", 0},
    {"q1", CLASP_I64, CLASP_PARAM | CLASP_OUT | CLASP_LOSSY, 0, 0, "", 0},
    {"text", CLASP_STRING, CLASP_PARAM | CLASP_OUT, 0, 0, "", 0},
    {"wave", CLASP_I32, CLASP_STREAM | CLASP_OUT, 0, 0, "", 0},
    {"seen", CLASP_I64, CLASP_PARAM | CLASP_OUT, 0, 0, "", 0},
    {"order", CLASP_I64, CLASP_EVENT | CLASP_IN, 0, 0, "", 0},
    {"in0", CLASP_I64, CLASP_PARAM | CLASP_IN, 0, 0, "", 0},
    {"in1", CLASP_I64, CLASP_PARAM | CLASP_IN, 0, 0, "", 0},
    {"in2", CLASP_I64, CLASP_PARAM | CLASP_IN, 0, 0, "", 0},
    {"in3", CLASP_I64, CLASP_PARAM | CLASP_IN, 0, 0, "", 0},
    {"label", CLASP_STRING, CLASP_PARAM | CLASP_IN, 0, 0, "", 0},
};

static clasp_link device;
static port line;
static bool is_going;
static uint32_t emitted, round_number, next_sample, blocks;
static uint32_t last_in[SIGNALS]; /* n of the last value of each input */
static uint32_t orders, skipped, repeated, wrong, back, inputs;
static char texts[2][TEXT_BYTES + 1];

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The finishing steps of MurmurHash3 on n and the signal. */
static uint32_t mixed(uint32_t signal, uint32_t n) {
  uint32_t x = n * 0x9e3779b1u + (signal + 1) * 0x85ebca77u;
  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  return x ^ (x >> 16);
}

static int64_t seal(uint32_t signal, uint32_t n) { return ((int64_t)n << 28) | (mixed(signal, n) & 0xFFFFFFF); }

static void set_sealed(uint16_t signal, uint32_t n) {
  clasp_value v;
  v.i64 = seal(signal, n);
  clasp_set(&device, signal, v);
}

/* Where a number may come: `n` in order, or a fault. */
static void check_number(uint16_t signal, uint32_t n, bool is_right) {
  uint32_t last = last_in[signal];
  inputs++;
  if (!is_right) {
    wrong++;
    return;
  }
  if (signal == ORDER) {
    if (n <= last) repeated++;
    else skipped += n - last - 1;
    orders++;
  } else if (n < last) {
    back++;
  }
  if (n > last) last_in[signal] = n;
}

static void on_input(void *context, uint16_t signal, const clasp_input *input) {
  (void)context;
  if (signal >= ORDER && signal < LABEL) {
    uint32_t n = (uint32_t)(input->value.i64 >> 28);
    check_number(signal, n, input->type == CLASP_I64 && seal(signal, n) == input->value.i64);
    if (signal == ORDER) set_sealed(SEEN, last_in[ORDER]);
  } else if (signal == LABEL) {
    char text[MOST_BYTES + 1];
    unsigned n = 0, check = 0;
    bool is_read;
    size_t length = input->length < sizeof text ? input->length : 0;
    if (length > 0) memcpy(text, input->bytes, length);
    text[length] = 0;
    is_read = sscanf(text, "%u %x", &n, &check) == 2;
    check_number(signal, n, input->type == CLASP_STRING && is_read && check == mixed(LABEL, n));
  }
}

static void on_state(void *context, clasp_state state) {
  static const char *const NAMES[] = {"announcing", "syncing", "running"};
  (void)context;
  printf("{\"state\":\"%s\",\"emitted\":%" PRIu32 ",\"order\":%" PRIu32 "}\n", NAMES[state], emitted, last_in[ORDER]);
}

static size_t write_port(void *context, const uint8_t *bytes, size_t count) { return port_write(context, bytes, count); }
static size_t read_port(void *context, uint8_t *bytes, size_t room) { return port_read(context, bytes, room); }

/* As much as the library takes now. */
static void produce(void) {
  uint32_t i;
  if (device.state != CLASP_RUNNING) return;
  for (;;) {
    clasp_value v;
    v.i64 = seal(EVENT, emitted + 1);
    if (clasp_emit(&device, EVENT, v) != CLASP_OK) break;
    emitted++;
  }
  round_number++;
  for (i = 0; i < 8; i++) set_sealed((uint16_t)(P0 + i), round_number);
  set_sealed(Q0, round_number);
  set_sealed(Q0 + 1, round_number);
  if (round_number % 8 == 0) {
    /* Two by turns: the one before may be on its way into a frame. */
    char *text = texts[round_number / 8 % 2];
    int length = snprintf(text, TEXT_BYTES, "%" PRIu32 " %" PRIx32 " ", round_number, mixed(TEXT, round_number));
    memset(text + length, 'x', (size_t)(TEXT_BYTES - length));
    text[TEXT_BYTES] = 0;
    clasp_set_text(&device, TEXT, text);
  }
  for (i = 0; i < BLOCKS_PER_ROUND; i++) {
    clasp_value samples[SAMPLES];
    uint32_t k;
    for (k = 0; k < SAMPLES; k++) {
      uint32_t n = (next_sample + k) & 0xFFFFF;
      samples[k].i = (int32_t)(n << 12 | (mixed(WAVE, n) & 0xFFF));
    }
    if (clasp_stream(&device, WAVE, 100, samples, SAMPLES) != CLASP_OK) break;
    next_sample += SAMPLES;
    blocks++;
  }
}

static void tell(void) {
  uint32_t i;
  printf("{\"answer\":true,\"emitted\":%" PRIu32 ",\"blocks\":%" PRIu32 ",\"orders\":%" PRIu32 ",\"lastOrder\":%" PRIu32
         ",\"skipped\":%" PRIu32 ",\"repeated\":%" PRIu32 ",\"wrong\":%" PRIu32 ",\"back\":%" PRIu32 ",\"inputs\":%" PRIu32,
         emitted, blocks, orders, last_in[ORDER], skipped, repeated, wrong, back, inputs);
  printf(",\"bad\":%u,\"resent\":%u,\"lostLink\":%u,\"lostEvents\":%u,\"isRunning\":%s", device.counters.bad,
         device.counters.resent, device.counters.lost_link, device.counters.lost_events,
         device.state == CLASP_RUNNING ? "true" : "false");
  printf(",\"bytesIn\":%" PRIu64 ",\"bytesOut\":%" PRIu64 ",\"round\":%" PRIu32 ",\"text\":%" PRIu32 ",\"ins\":[", line.bytes_in,
         line.bytes_out, round_number, round_number / 8 * 8);
  for (i = 0; i < 4; i++) printf("%s%" PRIu32, i > 0 ? "," : "", last_in[IN0 + i]);
  printf("],\"label\":%" PRIu32 "}\n", last_in[LABEL]);
}

/* False: stdin has ended. */
static bool obey(void) {
  char words[256];
  ssize_t got = read(STDIN_FILENO, words, sizeof words - 1);
  char *rest = words, *word;
  if (got <= 0) return false;
  words[got] = 0;
  while ((word = strsep(&rest, "\n")) != NULL) {
    if (strcmp(word, "go") == 0) is_going = true;
    else if (strcmp(word, "stop") == 0) is_going = false;
    if (*word != 0) tell();
  }
  return true;
}

int main(int count, char **words) {
  static const uint8_t uid[8] = {'p', 'r', 'o', 'o', 'f', 0, 0, 1};
  static clasp_config config;
  uint64_t wall = now_ns();
  if (count < 2 || strlen(words[1]) >= sizeof line.path) {
    fputs("usage: proof-device PORT [SEED]\n", stderr);
    return 2;
  }
  line.kind = &serial_port;
  strcpy(line.path, words[1]);
  config.name = "proof";
  config.firmware = "proof";
  config.uid = uid;
  config.signals = TABLE;
  config.signal_count = SIGNALS;
  config.context = &line;
  config.write = write_port;
  config.read = read_port;
  config.on_input = on_input;
  config.on_state = on_state;
  prctl(PR_SET_TIMERSLACK, 1000);
  port_start(&line);
  if (clasp_init(&device, &config, count > 2 ? (uint32_t)strtoul(words[2], NULL, 10) : (uint32_t)wall, (uint32_t)(wall / 1000u)) !=
      CLASP_OK)
    return 1;
  for (;;) {
    struct pollfd fds[2] = {{STDIN_FILENO, POLLIN, 0}, {-1, 0, 0}};
    struct timespec wait = {0, 1000000};
    port_service(&line, now_ns());
    clasp_poll(&device, (uint32_t)(now_ns() / 1000u));
    if (is_going) produce();
    fflush(stdout);
    fds[1].events = port_events(&line);
    fds[1].fd = fds[1].events != 0 ? line.fd : -1;
    if (ppoll(fds, 2, &wait, NULL) <= 0) continue;
    if (fds[1].fd >= 0 && fds[1].revents != 0) port_ready(&line, fds[1].revents);
    if (fds[0].revents != 0 && !obey()) return 0;
  }
}
