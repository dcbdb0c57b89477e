/*
 * Whatever comes over the line, the library stays within its memory and sends nothing but well-formed frames.
 *
 * An input is a script: which form, then what the router sends (noise, frames with a right check and any content,
 * WELCOMEs that are right but for their parameters), what the program calls, and how time passes. For
 * libFuzzer, or with fuzz_main.c for scripts of random bytes.
 */
#include "../src/clasp_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_check.h"

enum { LINE = 4096, MOST_STEPS = 512, NONCE = 0x5EED0001, TOKEN = 0x0DDBA115 };

static const clasp_signal SOME[] = {
    {"temp", CLASP_F32, CLASP_PARAM | CLASP_OUT | CLASP_RANGE, -40, 85, "C", 0},
    {"led", CLASP_BOOL, CLASP_PARAM | CLASP_IN | CLASP_OUT | CLASP_SAFE, 0, 0, "", 1},
    {"button", CLASP_NULL, CLASP_EVENT | CLASP_OUT, 0, 0, "", 0},
    {"meter", CLASP_UNIT8, CLASP_STREAM | CLASP_OUT, 0, 0, "", 0},
    {"a-name-of-23-characters", CLASP_STRING, CLASP_PARAM | CLASP_OUT | CLASP_IN, 0, 0, "1234567", 0},
    {"level", CLASP_UNIT16, CLASP_PARAM | CLASP_OUT | CLASP_LOSSY, 0, 1, "", 0},
    {"pad", CLASP_I16, CLASP_GESTURE | CLASP_OUT, 0, 0, "", 0},
#if CLASP_LINK_64BIT
    {"count", CLASP_I64, CLASP_PARAM | CLASP_OUT | CLASP_IN | CLASP_SAFE, 0, 0, "", -1},
    {"angle", CLASP_F64, CLASP_PARAM | CLASP_OUT | CLASP_IN, 0, 0, "deg", 0},
#else
    {"count", CLASP_I32, CLASP_PARAM | CLASP_OUT | CLASP_IN | CLASP_SAFE, 0, 0, "", -1},
    {"angle", CLASP_I8, CLASP_PARAM | CLASP_OUT | CLASP_IN, 0, 0, "deg", 0},
#endif
    {"blob", CLASP_BYTES, CLASP_PARAM | CLASP_IN, 0, 0, "", 0},
};
enum { SOME_COUNT = sizeof SOME / sizeof SOME[0], TWO_BYTE_IDS = 128, COUNT = TWO_BYTE_IDS + SOME_COUNT };
/* The same again behind it, with ids of two bytes, where the library has room for so many. */
static clasp_signal signals[COUNT];

static const uint8_t UID[8] = {0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6, 0x07, 0x18};
static const uint8_t KEY[32] = {1};
static const char *const TEXTS[] = {"", "press", "a text that is longer than any frame of this device could ever have room for, "
                                         "so that it has to be cut somewhere, wherever that may be; and some more", NULL};

/* The script. */
static const uint8_t *at, *end;

static clasp_link link_;
static clasp_config config;
static uint32_t now_us;
static uint8_t line[LINE];
static size_t line_length, line_at;
static size_t room; /* bytes that the transport takes at once; 0: it is busy */
static uint8_t next_r, next_u;
static uint32_t counter;
static uint16_t peer_mru, session;

static uint8_t take8(void) { return at < end ? *at++ : 0; }
static uint16_t take16(void) {
  uint16_t high = take8();
  return (uint16_t)(high << 8 | take8());
}
static uint32_t take32(void) {
  uint32_t high = take16();
  return high << 16 | take16();
}

static size_t put(void *context, const uint8_t *bytes, size_t count) {
  (void)context;
  if (room == 0) return 0;
  if (config.form == CLASP_SERIAL) {
    if (count > room) count = room;
    check_serial(bytes, count, peer_mru, link_.session);
  } else {
    check_datagram(bytes, count, peer_mru, config.form == CLASP_PACKETS);
  }
  return count;
}

static size_t get(void *context, uint8_t *bytes, size_t most) {
  size_t count = line_length - line_at;
  (void)context;
  if (config.form != CLASP_SERIAL && count > 0) {
    size_t length = (size_t)(line[line_at] << 8 | line[line_at + 1]);
    line_at += 2;
    count = length < most ? length : most;
    memcpy(bytes, line + line_at, count);
    line_at += length;
    return count;
  }
  if (count > most) count = most;
  memcpy(bytes, line + line_at, count);
  line_at += count;
  return count;
}

static volatile uint8_t seen;

static void on_input(void *context, uint16_t signal, const clasp_input *input) {
  uint16_t i;
  (void)context;
  if (signal >= COUNT && signal < 16384) abort();
  if (input->bytes != NULL)
    for (i = 0; i < input->length; i++) seen = (uint8_t)(seen ^ input->bytes[i]);
  /* Programs answer at once. */
  if (signal == 1) clasp_set_int(&link_, 7, input->value.i);
  if (signal == 8) clasp_emit(&link_, 2, input->value);
}

static void on_state(void *context, clasp_state state) {
  (void)context;
  if (state > CLASP_RUNNING) abort();
}

static void on_match(void *context, uint16_t signal, const char *address, uint8_t length) {
  uint8_t i;
  (void)context;
  (void)signal;
  for (i = 0; i < length; i++) seen = (uint8_t)(seen ^ (uint8_t)address[i]);
}

static void on_refused(void *context, uint16_t signal, uint16_t code) {
  (void)context;
  seen = (uint8_t)(seen ^ signal ^ code);
}

static void set_baud(void *context, uint32_t baud) {
  (void)context;
  seen = (uint8_t)(seen ^ baud);
}

static void hear(const uint8_t *bytes, size_t count) {
  if (config.form != CLASP_SERIAL) {
    if (line_length + count + 2 > LINE) return;
    line[line_length++] = (uint8_t)(count >> 8);
    line[line_length++] = (uint8_t)count;
  }
  if (line_length + count > LINE) return;
  memcpy(line + line_length, bytes, count);
  line_length += count;
}

/* A frame as the router would send it: CTRL SEQ and what the script says, with a right check. */
static void hear_frame(uint8_t ctrl, uint8_t seq, const uint8_t *body, size_t count) {
  uint8_t frame[512], wire[600];
  size_t length = 0;
  if (config.form != CLASP_SERIAL) {
    frame[length++] = 0x0C;
    frame[length++] = config.form == CLASP_PACKETS ? 0x12 : 0x10;
    if (config.form == CLASP_DATAGRAMS) {
      const uint32_t words[2] = {TOKEN, ++counter};
      size_t i;
      for (i = 0; i < 8; i++) frame[length++] = (uint8_t)(words[i / 4] >> (24 - 8 * (i % 4)));
    }
  }
  frame[length++] = ctrl;
  frame[length++] = seq;
  if (count > 0) memcpy(frame + length, body, count);
  length += count;
  if (config.form == CLASP_SERIAL) hear(wire, put_serial(wire, frame, length, link_.session));
  else hear(frame, length);
}

static void poll(uint32_t passed) {
  now_us += passed;
  clasp_poll(&link_, now_us);
  if (line_at == line_length) line_at = line_length = 0;
}

static void hear_body(uint8_t ctrl, uint8_t seq) {
  uint8_t body[256];
  size_t count = take8(), i;
  for (i = 0; i < count; i++) body[i] = take8();
  hear_frame(ctrl, seq, body, count);
}

static void hear_noise(void) {
  uint8_t bytes[256];
  size_t count = take8(), i;
  for (i = 0; i < count; i++) bytes[i] = take8();
  hear(bytes, count);
}

static void hear_welcome(void) {
  size_t rounds, was_room = room;
  uint8_t body[21] = {1};
  /* Another one each time: the same once more would not begin anything. */
  session++;
  body[2] = (uint8_t)(session >> 8);
  body[3] = (uint8_t)session;
  body[1] = take8();
  body[4] = take8() & 3;
  body[5] = take8();
  body[6] = take8() & 15;
  body[7] = take8() & 3;
  body[8] = take8();
  body[9] = NONCE >> 24;
  body[10] = NONCE >> 16 & 0xFF;
  body[11] = NONCE >> 8 & 0xFF;
  body[12] = NONCE & 0xFF;
  /* What was sent before obeys the limits from before. */
  for (room = LINE, rounds = 0; rounds < 16; rounds++) poll(0);
  room = was_room;
  if (line_length > 0) return; /* it sleeps */
  peer_mru = (uint16_t)(body[4] << 8 | body[5]);
  if (peer_mru < 64) peer_mru = 64;
  next_r = next_u = 0;
  hear_frame(0x83, take8() & 15, body, sizeof body);
  poll(0);
}

/* Of the signals that differ, and of their repetition; some are not there. */
static uint16_t pick(uint8_t number) { return (uint16_t)(number < SOME_COUNT ? number : TWO_BYTE_IDS + number - SOME_COUNT); }

static clasp_value any_value(uint16_t signal) {
  clasp_value value;
  memset(&value, 0, sizeof value);
  if (signal < COUNT && signals[signal].type == CLASP_STRING) {
    value.text = TEXTS[take8() & 3];
    return value;
  }
#if CLASP_LINK_64BIT
  value.i64 = (int64_t)((uint64_t)take32() << 32 | take32());
#else
  value.i = (int32_t)take32();
#endif
  return value;
}

static void boot(void) {
  line_at = line_length = 0;
  peer_mru = 64;
  next_r = next_u = 0;
  counter = 0;
  forget_line();
  if (clasp_init(&link_, &config, NONCE, now_us) != CLASP_OK) abort();
}

#if CLASP_LINK_BUNDLES
static void bundle(void) {
  uint8_t count = take8() & 15;
  if (clasp_bundle_begin(&link_, (take8() & 1) ? 1700000000000000 : 0) != CLASP_OK) return;
  while (count-- > 0) {
    uint16_t signal = pick(take8() & 15);
    clasp_bundle_add(&link_, signal, any_value(signal));
    /* What else a program may do before it sends it. */
    if ((count & 3) == 3) clasp_set_int(&link_, signal, take8());
  }
  if (take8() & 7) clasp_bundle_send(&link_);
}
#endif

static void stream(void) {
  clasp_value samples[64];
  uint8_t count = take8() & 63, i;
  uint16_t interval = take16();
  for (i = 0; i < count; i++) samples[i] = any_value(3);
  clasp_stream(&link_, 3, interval, samples, count);
}

static void step(void) {
  uint8_t what = take8();
  uint16_t signal = pick(what >> 4);
  switch (what & 15) {
    case 0: hear_noise(); break;
    case 1:
      if (what >> 4 == 3) hear_welcome();
      else hear_body((uint8_t)(0x80 | (what >> 4)), take8() & 15);
      break;
    case 2: hear_body(0x40, (uint8_t)(next_r << 4 | (what >> 4))); next_r = (next_r + 1) & 15; break;
    case 3: hear_body(0x00, (uint8_t)(next_u << 4 | (what >> 4))); next_u = (next_u + 1) & 15; break;
    case 4: hear_welcome(); break;
    case 5: hear_body((uint8_t)(what & 0xF0), take8()); break;
    case 6: poll(take16()); return;
    case 7: poll(take32()); return;
    case 8: clasp_set(&link_, signal, any_value(signal)); break;
    case 9: clasp_set_float(&link_, signal, (float)(int16_t)take16() / 16.0f); break;
    case 10: clasp_emit(&link_, signal, any_value(signal)); break;
    case 11: clasp_gesture(&link_, signal, take8(), take8() & 3, any_value(signal)); break;
#if CLASP_LINK_BUNDLES
    case 12: bundle(); break;
#endif
    case 13: stream(); break;
    case 14:
      switch (what >> 4) {
#if CLASP_LINK_SUBSCRIPTIONS
        case 0: clasp_subscribe(&link_, take8() & 7, "/**", take16()); break;
        case 1: clasp_subscribe(&link_, take8() & 7, NULL, 0); break;
        case 2: clasp_subscribe(&link_, 0, "/a/pattern/of/just/forty/characters/1234", 1); break;
#endif
        case 3: clasp_get(&link_, pick(take8() & 15)); break;
        case 4: clasp_hold(&link_, take8() & 1); break;
        case 5: clasp_log(&link_, take8() & 3, TEXTS[take8() % 3]); break;
        case 6: clasp_sleep(&link_, take16()); break;
        case 7: clasp_wake(&link_, now_us); break;
        case 8: boot(); break;
        case 9: room = take8(); break;
        case 10: room = LINE; break;
        default: clasp_set_text(&link_, 4, TEXTS[what >> 4 & 3]); break;
      }
      break;
    default: hear_frame(0x80, what >> 4, NULL, 0); break;
  }
  if (line_length > LINE / 2 || (what & 1)) poll(1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint8_t form, steps;
  unsigned done = 0, i;
  at = data;
  end = data + size;
  form = take8();
  for (i = 0; i < COUNT; i++) signals[i] = i < SOME_COUNT ? SOME[i] : i < TWO_BYTE_IDS ? SOME[0] : SOME[i - TWO_BYTE_IDS];
  memset(&config, 0, sizeof config);
  config.name = "node1";
  config.firmware = form & 0x80 ? "1.2.3" : NULL;
  config.uid = UID;
  config.signals = signals;
  config.signal_count = COUNT < CLASP_LINK_SIGNALS ? COUNT : CLASP_LINK_SIGNALS;
  config.baud = form & 0x40 ? 115200 : 0;
  config.max_baud = 2000000;
  config.is_sleepy = form >> 5 & 1;
  config.form = CLASP_LINK_DATAGRAM ? (form & 15) % 3 : CLASP_SERIAL;
  config.key = CLASP_LINK_AUTH && (form & 0x10) ? KEY : NULL;
  config.write = put;
  config.read = get;
  config.on_input = on_input;
  config.on_state = on_state;
  config.on_match = on_match;
  config.on_refused = on_refused;
  config.set_baud = set_baud;
  now_us = take32();
  room = LINE;
  boot();
  for (steps = take8() & 1; at < end && done < MOST_STEPS; done++) step();
  /* Half of the scripts end with a quiet minute. */
  for (room = LINE; steps != 0 && done < MOST_STEPS + 100; done++) poll(600000);
  return 0;
}
