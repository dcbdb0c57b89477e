/*
 * clasp_link: Leaf Link v1, device side. See clasp_link.h for its use and firmware-protocol/README.md for the protocol.
 *
 * The order of this file: bytes, line (COBS and CRC, or datagrams), handshake, reliability, records in, records out,
 * time, what the program calls. MIT licence.
 */
#include "clasp_link.h"

#include <string.h>

#if CLASP_LINK_MRU < 64 || CLASP_LINK_MRU > 1024 || CLASP_LINK_MTU < 64 || CLASP_LINK_MTU > 1024
#error "CLASP_LINK_MRU and CLASP_LINK_MTU: 64 to 1024"
#endif
#if CLASP_LINK_WINDOW != 1 && CLASP_LINK_WINDOW != 2 && CLASP_LINK_WINDOW != 4 && CLASP_LINK_WINDOW != 8
#error "CLASP_LINK_WINDOW: 1, 2, 4 or 8"
#endif
#if CLASP_LINK_SIGNALS < 1 || CLASP_LINK_SIGNALS > 16383
#error "CLASP_LINK_SIGNALS: 1 to 16383"
#endif
#if CLASP_LINK_ADDRESS + CLASP_LINK_UNIT > 44
#error "CLASP_LINK_ADDRESS + CLASP_LINK_UNIT: at most 44, so that a declaration fits into the smallest frame"
#endif
#if CLASP_LINK_DATAGRAM && (CLASP_LINK_MTU < 128 || CLASP_LINK_MRU < 128)
#error "CLASP_LINK_DATAGRAM needs CLASP_LINK_MTU and CLASP_LINK_MRU of 128 or more"
#endif
#if CLASP_LINK_AUTH && !CLASP_LINK_DATAGRAM
#error "CLASP_LINK_AUTH is for the datagram form"
#endif

/* Class of a frame: the upper two bits of CTRL (README, "Frame"). */
enum { UNRELIABLE = 0x00, RELIABLE = 0x40, CONTROL = 0x80, CLASS = 0xC0, NOT_READY = 0x20, AGAIN = 0x10, SUBTYPE = 0x0F };

/* Control frames (README, "Control frames"). */
enum {
  C_ACK = 0,
  C_NAK = 1,
  C_ANNOUNCE = 2,
  C_WELCOME = 3,
  C_BYE = 4,
  C_PING = 5,
  C_PONG = 6,
  C_TIME_REQUEST = 7,
  C_TIME = 8,
  C_BAUD_REQUEST = 9,
  C_BAUD_OK = 10,
  C_BAUD_TEST = 11,
  C_PROBE = 12,
  C_LOG = 13,
  C_CHALLENGE = 14
};

/* Operations of records: the upper four bits of their first byte (README, "Records"). */
enum {
  OP_VALUE = 0,
  OP_EXTENDED = 1,
  OP_EVENT = 2,
  OP_STREAM = 3,
  OP_BLOCK = 4,
  OP_GESTURE = 5,
  OP_TIME = 6,
  OP_RESULT = 7,
  OP_DECLARE = 8,
  OP_DECLARED = 9,
  OP_GET = 10,
  OP_SUBSCRIBE = 11,
  OP_CLASP = 12,
  OP_INFO = 13,
  OP_CONFIGURE = 14,
  OP_NOTHING = 15
};
enum { X_REVISION = 0x01, X_TTL = 0x02, X_INITIAL = 0x10, X_ANSWER = 0x20 };
/* Types that exist in records only. */
enum { T_ARRAY = 0xA, T_FALSE = 0xE, T_TRUE = 0xF };
enum { HOST_SIGNALS = 16384 };

enum {
  FRAMES_PER_POLL = CLASP_LINK_WINDOW + 2,
  ACK_DELAY_MS = 5,
  RETRY_MS = 60,
  MAX_RETRIES = 8,
  IDLE_MS = 20, /* after which a frame starts with a delimiter */
  ANNOUNCE_MS = 1000,
  HOLD_MS = 1000,
  SWITCH_MS = 15,
  SPEED_TEST_MS = 500,
  BYE_SLEEP = 7
};
enum { SPEED_STEADY = 0, SPEED_AGREED = 1, SPEED_TESTED = 2 };

/* ---- Bytes ----------------------------------------------------------------------------------------------------------- */

#ifdef __AVR__
#define ROM_BYTE(p) pgm_read_byte(p)
#define ROM_COPY(to, from, size) memcpy_P(to, from, size)
#else
#define ROM_BYTE(p) (*(const uint8_t *)(p))
#define ROM_COPY(to, from, size) memcpy(to, from, size)
#endif

static uint8_t *put16(uint8_t *p, uint16_t v) {
  *p++ = (uint8_t)(v >> 8);
  *p++ = (uint8_t)v;
  return p;
}

static uint8_t *put32(uint8_t *p, uint32_t v) { return put16(put16(p, (uint16_t)(v >> 16)), (uint16_t)v); }

static uint16_t get16(const uint8_t *p) { return (uint16_t)((uint16_t)(p[0] << 8) | p[1]); }

static uint32_t get32(const uint8_t *p) { return ((uint32_t)get16(p) << 16) | get16(p + 2); }

#if CLASP_LINK_64BIT
static uint8_t *put64(uint8_t *p, uint64_t v) { return put32(put32(p, (uint32_t)(v >> 32)), (uint32_t)v); }
#endif
#if CLASP_LINK_64BIT || CLASP_LINK_TIME
static uint64_t get64(const uint8_t *p) { return ((uint64_t)get32(p) << 32) | get32(p + 4); }
#endif

static uint8_t *put_float(uint8_t *p, float v) {
  uint32_t bits;
  memcpy(&bits, &v, 4);
  return put32(p, bits);
}

static float get_float(const uint8_t *p) {
  uint32_t bits = get32(p);
  float v;
  memcpy(&v, &bits, 4);
  return v;
}

/* Ids and lengths: 00 … 7F in one byte, up to 32767 in two. */
static uint8_t *put_id(uint8_t *p, uint16_t id) {
  if (id >= 0x80) *p++ = (uint8_t)(0x80 | (id >> 8));
  *p++ = (uint8_t)id;
  return p;
}

/* CRC-16/X-25, one byte; starts at FFFF, is sent inverted, low byte first. */
static uint16_t crc16(uint16_t crc, uint8_t byte) {
  byte = (uint8_t)(byte ^ (uint8_t)crc);
  byte = (uint8_t)(byte ^ (uint8_t)(byte << 4));
  return (uint16_t)((crc >> 8) ^ (uint16_t)(byte << 8) ^ (uint16_t)(byte << 3) ^ (byte >> 4));
}

static uint32_t crc32(uint32_t crc, const uint8_t *bytes, uint16_t count) {
  while (count-- > 0) {
    uint8_t bit;
    crc ^= *bytes++;
    for (bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) ? 0xEDB88320u : 0u);
  }
  return crc;
}

static uint8_t has(const uint8_t *bits, uint16_t i) { return (uint8_t)((bits[i >> 3] >> (i & 7)) & 1); }
static void put_in(uint8_t *bits, uint16_t i) { bits[i >> 3] = (uint8_t)(bits[i >> 3] | (1 << (i & 7))); }
static void take_out(uint8_t *bits, uint16_t i) { bits[i >> 3] = (uint8_t)(bits[i >> 3] & ~(1 << (i & 7))); }

static uint8_t is_past(uint32_t now, uint32_t moment) { return (int32_t)(now - moment) >= 0; }

static uint32_t random32(clasp_link *link) {
  uint32_t x = link->random;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return link->random = x;
}

static uint8_t type_of(const clasp_link *link, uint16_t signal) { return ROM_BYTE(&link->config->signals[signal].type); }
static uint8_t flags_of(const clasp_link *link, uint16_t signal) { return ROM_BYTE(&link->config->signals[signal].flags); }

/* Bytes of a value of this type; FF: its length is in front of it, or it is no type. */
static uint8_t size_of(uint8_t type) {
  static const uint8_t sizes[16] CLASP_ROM = {0, 1, 1, 2, 4, 8, 4, 8, 255, 255, 255, 255, 1, 2, 0, 0};
  return ROM_BYTE(&sizes[type]);
}

/* ---- Authentication: HMAC-SHA256 (FIPS 180-4, RFC 2104) -------------------------------------------------------------- */

#if CLASP_LINK_AUTH
static const uint32_t SHA_K[64] CLASP_ROM = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
    0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
    0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
    0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

typedef struct {
  uint32_t h[8];
  uint32_t length;
  uint8_t block[64];
} sha256;

static uint32_t rotated(uint32_t x, uint8_t n) { return (x >> n) | (x << (32 - n)); }

static void sha_block(sha256 *s) {
  uint32_t w[16], v[8];
  uint8_t i;
  for (i = 0; i < 16; i++) w[i] = get32(s->block + 4 * i);
  memcpy(v, s->h, sizeof v);
  for (i = 0; i < 64; i++) {
    uint32_t k, t1, t2;
    if (i >= 16) {
      uint32_t a = w[(i + 1) & 15], b = w[(i + 14) & 15];
      w[i & 15] += w[(i + 9) & 15] + (rotated(a, 7) ^ rotated(a, 18) ^ (a >> 3)) + (rotated(b, 17) ^ rotated(b, 19) ^ (b >> 10));
    }
    ROM_COPY(&k, &SHA_K[i], 4);
    t1 = v[7] + (rotated(v[4], 6) ^ rotated(v[4], 11) ^ rotated(v[4], 25)) + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k + w[i & 15];
    t2 = (rotated(v[0], 2) ^ rotated(v[0], 13) ^ rotated(v[0], 22)) + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
    memmove(v + 1, v, 7 * sizeof v[0]);
    v[4] += t1;
    v[0] = t1 + t2;
  }
  for (i = 0; i < 8; i++) s->h[i] += v[i];
}

static void sha_start(sha256 *s) {
  static const uint32_t first[8] CLASP_ROM = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                              0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  ROM_COPY(s->h, first, sizeof s->h);
  s->length = 0;
}

static void sha_add(sha256 *s, const uint8_t *bytes, uint16_t count) {
  while (count-- > 0) {
    s->block[s->length++ & 63] = *bytes++;
    if ((s->length & 63) == 0) sha_block(s);
  }
}

static void sha_end(sha256 *s, uint8_t *digest) {
  static const uint8_t end = 0x80, zero = 0;
  uint32_t bits = s->length << 3;
  uint8_t tail[4], i;
  sha_add(s, &end, 1);
  while ((s->length & 63) != 60) sha_add(s, &zero, 1);
  put32(tail, bits);
  sha_add(s, tail, 4);
  for (i = 0; i < 8; i++) put32(digest + 4 * i, s->h[i]);
}

static void hmac_pad(sha256 *s, const uint8_t *key, uint8_t pad) {
  uint8_t i;
  sha_start(s);
  for (i = 0; i < 64; i++) {
    uint8_t byte = (uint8_t)((i < 32 ? key[i] : 0) ^ pad);
    sha_add(s, &byte, 1);
  }
}

/* HMAC of up to three parts under a key of 32 bytes; `digest` takes 32. */
static void hmac(const uint8_t *key, const uint8_t *a, uint16_t na, const uint8_t *b, uint16_t nb, const uint8_t *c, uint16_t nc,
                 uint8_t *digest) {
  sha256 s;
  hmac_pad(&s, key, 0x36);
  sha_add(&s, a, na);
  sha_add(&s, b, nb);
  sha_add(&s, c, nc);
  sha_end(&s, digest);
  hmac_pad(&s, key, 0x5C);
  sha_add(&s, digest, 32);
  sha_end(&s, digest);
}

static void make_keys(clasp_link *link) {
  uint8_t session[32];
  hmac(link->config->key, (const uint8_t *)"LL1 session", 11, link->nonces, 16, link->config->uid, 8, session);
  hmac(session, (const uint8_t *)"d2h", 3, NULL, 0, NULL, 0, link->key_out);
  hmac(session, (const uint8_t *)"h2d", 3, NULL, 0, NULL, 0, link->key_in);
  link->has_keys = 1;
}
#endif

/* ---- The line: frames out -------------------------------------------------------------------------------------------- */

/* Gives the transport what is left of the frame; 0: the line is busy. */
static uint8_t flush(clasp_link *link) {
  while (link->out_sent < link->out_length) {
    size_t room = (size_t)(link->out_length - link->out_sent);
    size_t taken = link->config->write(link->config->context, link->out + link->out_sent, room);
    if (taken == 0) return 0;
    link->out_sent = (uint16_t)(link->out_sent + (taken < room ? taken : room));
  }
  link->out_length = link->out_sent = 0;
  return 1;
}

#if CLASP_LINK_DATAGRAM
static uint8_t *start_datagram(clasp_link *link) {
  uint8_t *p = link->out;
  uint8_t form = (uint8_t)(0x10 | (link->has_keys ? 1 : 0) | (link->config->form == CLASP_PACKETS ? 2 : 0));
  *p++ = 0x0C;
  *p++ = form;
  if (link->config->form != CLASP_PACKETS) p = put32(put32(p, link->token), ++link->send_counter);
  return p;
}

static void send_datagram(clasp_link *link, const uint8_t *frame, uint16_t length) {
  uint8_t *p = start_datagram(link);
  memcpy(p, frame, length);
  p += length;
#if CLASP_LINK_AUTH
  if (link->has_keys) {
    uint8_t digest[32];
    hmac(link->key_out, link->out, (uint16_t)(p - link->out), NULL, 0, NULL, 0, digest);
    memcpy(p, digest, 8);
    p += 8;
  }
#endif
  link->out_length = (uint16_t)(p - link->out);
}
#endif

/* COBS (README, "Serial line"): the code in front of each run says how far the next zero is. */
static void send_serial(clasp_link *link, const uint8_t *frame, uint16_t length) {
  uint16_t crc = (uint16_t)(0xFFFF ^ ((frame[0] & CLASS) == CONTROL ? 0 : link->session));
  uint16_t at = 0, code_at, i;
  uint8_t run = 1;
  if (!link->is_delimited || link->now_ms - link->sent_ms > IDLE_MS) link->out[at++] = 0;
  code_at = at++;
  for (i = 0; i < length; i++) crc = crc16(crc, frame[i]);
  for (i = 0; i < length + 2u; i++) {
    uint8_t byte = i < length ? frame[i] : (uint8_t)(~crc >> (i == length ? 0 : 8));
    if (byte != 0) {
      link->out[at++] = byte;
      run++;
    }
    if (byte == 0 || run == 255) {
      link->out[code_at] = run;
      code_at = at++;
      run = 1;
    }
  }
  link->out[code_at] = run;
  link->out[at++] = 0;
  link->is_delimited = 1;
  link->out_length = at;
}

/* Puts one frame (CTRL SEQ BODY) on the free line, with the newest acknowledgement. */
static void send_frame(clasp_link *link, uint8_t *frame, uint16_t length) {
  frame[1] = (uint8_t)((frame[1] & 0xF0) | link->expected_r);
  if (link->is_held) frame[0] |= NOT_READY;
#if CLASP_LINK_DATAGRAM
  if (link->config->form != CLASP_SERIAL) send_datagram(link, frame, length);
  else
#endif
    send_serial(link, frame, length);
  link->sent_ms = link->now_ms;
  link->unacked = 0;
  flush(link);
}

static void send_control(clasp_link *link, uint8_t subtype, const uint8_t *body, uint8_t length) {
  uint8_t frame[2 + 20];
  frame[0] = (uint8_t)(CONTROL | subtype);
  frame[1] = 0;
  if (length > 0) memcpy(frame + 2, body, length);
  send_frame(link, frame, (uint16_t)(length + 2));
}

/* Remembers an answer until the line is free. The newest wins: all of them are asked for again when they get lost. */
static void answer(clasp_link *link, uint8_t subtype, const uint8_t *body, uint16_t length) {
  link->control = (uint8_t)(CONTROL | subtype);
  link->control_length = (uint8_t)(length > 8 ? 8 : length);
  if (length > 0) memcpy(link->control_body, body, link->control_length);
}

/* ---- The descriptor -------------------------------------------------------------------------------------------------- */

static uint8_t text_length(const char *text, uint8_t most) {
  uint8_t length = 0;
  while (length < most && text[length] != 0) length++;
  return length;
}

static uint8_t *put_text(uint8_t *p, const char *text, uint8_t length) {
  *p++ = length;
  memcpy(p, text, length);
  return p + length;
}

/* Records of the descriptor: one for each signal, then the firmware's version. */
static uint16_t descriptor_records(const clasp_link *link) {
  return (uint16_t)(link->config->signal_count + (link->config->firmware != NULL ? 1 : 0));
}

enum { RECORD_BYTES = 58 }; /* what the smallest frame has room for */

static uint8_t *put_descriptor_record(const clasp_link *link, uint16_t index, uint8_t *p) {
  clasp_signal signal;
  uint8_t flags, length;
  if (index >= link->config->signal_count) {
    *p++ = OP_INFO << 4;
    *p++ = 1;
    return put_text(p, link->config->firmware, text_length(link->config->firmware, 24));
  }
  ROM_COPY(&signal, &link->config->signals[index], sizeof signal);
  length = text_length(signal.unit, CLASP_LINK_UNIT - 1);
  /* Flags on the wire: 07 kind, 08 publishes, 10 takes writes, 20 range, 40 unit. */
  flags = (uint8_t)(signal.flags & (0x07 | CLASP_OUT | CLASP_IN | CLASP_RANGE));
  if (length > 0) flags |= 0x40;
  *p++ = (uint8_t)(OP_DECLARE << 4 | signal.type);
  p = put_id(p, index);
  *p++ = flags;
  p = put_text(p, signal.address, text_length(signal.address, CLASP_LINK_ADDRESS - 1));
  if (flags & CLASP_RANGE) p = put_float(put_float(p, signal.minimum), signal.maximum);
  return length > 0 ? put_text(p, signal.unit, length) : p;
}

static uint32_t descriptor_hash(const clasp_link *link) {
  uint8_t record[RECORD_BYTES];
  uint32_t crc = 0xFFFFFFFFu;
  uint16_t i;
  for (i = 0; i < descriptor_records(link); i++)
    crc = crc32(crc, record, (uint16_t)(put_descriptor_record(link, i, record) - record));
  return ~crc;
}

/* ---- Handshake ------------------------------------------------------------------------------------------------------- */

static void announce(clasp_link *link) {
#if CLASP_LINK_DATAGRAM
  uint8_t frame[2 + 26 + 18 + 10 + 18 + 10], *p = frame + 2;
#else
  uint8_t frame[2 + 26 + 18], *p = frame + 2;
#endif
  const clasp_config *config = link->config;
  frame[0] = CONTROL | C_ANNOUNCE;
  frame[1] = 0;
  *p++ = 1;
  *p++ = config->is_sleepy ? 1 : 0;
  p = put16(p, CLASP_LINK_MRU);
  *p++ = CLASP_LINK_WINDOW;
  memcpy(p, config->uid, 8);
  p = put32(put32(put32(p + 8, link->nonce), link->hash), config->set_baud != NULL ? config->max_baud : 0);
  p = put_text(p, config->name, text_length(config->name, 18));
#if CLASP_LINK_DATAGRAM
  if (config->form != CLASP_SERIAL) {
    *p++ = 1;
    p = put_text(p, (const char *)link->nonces, 8);
    if (link->cookie_length > 0) {
      *p++ = 2;
      p = put_text(p, (const char *)link->cookie, link->cookie_length);
      *p++ = 3;
      p = put_text(p, (const char *)link->nonces + 8, 8);
    }
  }
#endif
  send_frame(link, frame, (uint16_t)(p - frame));
  link->announce_ms = link->now_ms + ANNOUNCE_MS * 4 / 5 + (random32(link) & 0xFF) + (random32(link) & 0x7F);
}

static void set_state(clasp_link *link, clasp_state state) {
  if (link->state == state) return;
  link->state = state;
  if (link->config->on_state != NULL) link->config->on_state(link->config->context, state);
}

/* Forgets the session; `delay_ms` until the next ANNOUNCE. */
static void restart(clasp_link *link, uint32_t delay_ms) {
  link->next_r = link->oldest_r = link->resend_r = link->expected_r = link->next_u = 0;
  link->retries = link->unacked = link->is_gap = link->control = link->speed = 0;
  link->described = 0;
  link->event_count = 0;
  link->announce_ms = link->now_ms + delay_ms;
#if CLASP_LINK_BUNDLES
  link->bundle_length = 0;
#endif
#if CLASP_LINK_DATAGRAM
  {
    uint8_t i;
    link->token = link->seen_counter = 0;
    link->send_counter = 0;
    link->seen = 0;
    link->cookie_length = link->has_keys = 0;
    for (i = 0; i < 8; i = (uint8_t)(i + 4)) put32(link->nonces + i, random32(link) ^ link->now_us);
  }
#endif
}

static void use_speed(clasp_link *link, uint32_t baud) {
  if (link->config->set_baud != NULL && link->line_baud != (baud != 0 ? baud : link->config->baud))
    link->config->set_baud(link->config->context, baud);
  link->line_baud = baud != 0 ? baud : link->config->baud;
}

static void tell_safe_values(clasp_link *link) {
  uint16_t i;
  for (i = 0; i < link->config->signal_count; i++) {
    clasp_input input;
    clasp_signal signal;
    uint8_t flags = flags_of(link, i);
    if (!(flags & CLASP_SAFE) || !(flags & CLASP_IN)) continue;
    ROM_COPY(&signal, &link->config->signals[i], sizeof signal);
    memset(&input, 0, sizeof input);
    input.type = signal.type;
    input.why = CLASP_FELL_BACK;
    if (signal.type == CLASP_F32 || signal.type >= CLASP_UNIT8) input.value.f = signal.safe;
#if CLASP_LINK_64BIT
    else if (signal.type == CLASP_F64) input.value.f64 = (double)signal.safe;
    else if (signal.type == CLASP_I64) input.value.i64 = (int64_t)signal.safe;
#endif
    else input.value.i = (int32_t)signal.safe;
    link->values[i] = input.value;
    put_in(link->is_known, i);
    if (link->config->on_input != NULL) link->config->on_input(link->config->context, i, &input);
  }
}

static void lose_link(clasp_link *link, uint32_t delay_ms) {
  uint8_t was_linked = link->state != CLASP_ANNOUNCING;
  use_speed(link, 0);
  restart(link, delay_ms);
  set_state(link, CLASP_ANNOUNCING);
  if (!was_linked) return;
  link->counters.lost_link++;
  tell_safe_values(link);
}

static void welcome(clasp_link *link, const uint8_t *body, uint16_t length) {
  uint16_t i;
  uint8_t window;
#if CLASP_LINK_DATAGRAM
  uint32_t token = link->token, seen_counter = link->seen_counter, send_counter = link->send_counter;
  uint64_t seen = link->seen;
  uint8_t has_keys = link->has_keys, nonces[16];
  memcpy(nonces, link->nonces, 16);
#endif
  if (length < 21 || body[0] != 1 || get32(body + 9) != link->nonce) return;
  restart(link, 0);
#if CLASP_LINK_DATAGRAM
  /* The datagram that brought this has set them; they belong to the new session. */
  link->token = token;
  link->seen_counter = seen_counter;
  link->send_counter = send_counter;
  link->seen = seen;
  link->has_keys = has_keys;
  memcpy(link->nonces, nonces, 16);
#endif
  link->session = get16(body + 2);
  link->peer_mru = get16(body + 4);
  if (link->peer_mru < 64) link->peer_mru = 64;
  window = body[6];
  link->peer_window = window < 1 ? 1 : window > CLASP_LINK_WINDOW ? CLASP_LINK_WINDOW : window;
  link->keepalive_ms = get16(body + 7);
  if (link->keepalive_ms < 200) link->keepalive_ms = 200;
  link->hold_ms = link->now_ms;
#if CLASP_LINK_TIME
  link->time_count = 0;
  link->time_rtt = 0xFFFFFFFFu;
  link->time_ms = link->now_ms;
#endif
  for (i = 0; i < link->config->signal_count; i++) {
    uint8_t flags = flags_of(link, i);
    if (!(flags & CLASP_OUT) || (flags & 0x07) == CLASP_EVENT || !has(link->is_known, i)) continue;
    put_in(link->is_dirty, i);
    /* What others may write too: the router's value wins, if it has one. */
    if (flags & CLASP_IN) put_in(link->is_offer, i);
  }
#if CLASP_LINK_SUBSCRIPTIONS
  for (i = 0; i < CLASP_LINK_SUBSCRIPTIONS; i++) link->subscriptions[i].todo = link->subscriptions[i].pattern != NULL;
#endif
  link->unacked = 1;
  link->ack_ms = link->now_ms;
  set_state(link, (body[1] & 1) ? CLASP_RUNNING : CLASP_SYNCING);
}

/* ---- Reliability ----------------------------------------------------------------------------------------------------- */

static uint32_t retry_time(const clasp_link *link) {
  uint32_t base = RETRY_MS;
  if (link->line_baud != 0) {
    uint32_t four_frames = 4u * CLASP_LINK_MTU * 10000u / link->line_baud;
    if (four_frames > base) base = four_frames;
  }
  return base << (link->retries > 4 ? 4 : link->retries);
}

static void acknowledged(clasp_link *link, uint8_t next) {
  uint8_t under_way = (uint8_t)((link->resend_r - link->oldest_r) & 15);
  uint8_t built = (uint8_t)((link->next_r - link->oldest_r) & 15);
  uint8_t done = (uint8_t)((next - link->oldest_r) & 15);
  if (done == 0 || done > built) return;
  link->oldest_r = next;
  /* An acknowledgement may overtake what is being sent again. */
  if (done > under_way) link->resend_r = next;
  link->retries = 0;
  link->retry_ms = link->now_ms + retry_time(link);
}

/* Everything that is not acknowledged goes out again, in order. */
static void rewind_window(clasp_link *link) {
  while (link->resend_r != link->oldest_r) {
    link->resend_r = (uint8_t)((link->resend_r - 1) & 15);
    link->window[link->resend_r % CLASP_LINK_WINDOW][0] |= AGAIN;
    link->counters.resent++;
  }
}

/* ---- Records in ------------------------------------------------------------------------------------------------------ */

/* One value, or one length, as a cursor over records that cannot run past their end. */
typedef struct {
  const uint8_t *at, *end;
  uint8_t failed;
} cursor;

static const uint8_t *take(cursor *c, uint16_t count) {
  const uint8_t *p = c->at;
  if ((size_t)(c->end - c->at) < count) {
    static const uint8_t nothing[8] = {0};
    c->failed = 1;
    c->at = c->end;
    return nothing;
  }
  c->at += count;
  return p;
}

static uint16_t take_id(cursor *c) {
  uint8_t first = *take(c, 1);
  return first < 0x80 ? first : (uint16_t)((uint16_t)((first & 0x7F) << 8) | *take(c, 1));
}

static void take_value(cursor *c, uint8_t type, clasp_input *input) {
  uint8_t size = size_of(type);
  const uint8_t *p;
  memset(&input->value, 0, sizeof input->value);
  input->type = type;
  input->length = 0;
  input->bytes = NULL;
  if (type == CLASP_STRING || type == CLASP_BYTES) {
    uint16_t length = take_id(c);
    input->bytes = take(c, c->end - c->at < (ptrdiff_t)length ? 0xFFFF : length);
    if (!c->failed) input->length = length;
    return;
  }
  if (type == T_ARRAY) {
    uint8_t count = *take(c, 1);
    while (count-- > 0 && !c->failed) {
      uint8_t item = (uint8_t)(*take(c, 1) & 0x0F);
      if (item == CLASP_STRING || item == CLASP_BYTES) {
        uint16_t length = take_id(c);
        take(c, c->end - c->at < (ptrdiff_t)length ? 0xFFFF : length);
      } else if (size_of(item) == 255) {
        c->failed = 1;
      } else {
        take(c, size_of(item));
      }
    }
    return;
  }
  if (size == 255) {
    c->failed = 1;
    return;
  }
  p = take(c, size);
  switch (type) {
    case CLASP_BOOL: input->value.i = *p != 0; break;
    case CLASP_I8: input->value.i = (int8_t)*p; break;
    case CLASP_I16: input->value.i = (int16_t)get16(p); break;
    case CLASP_I32: input->value.i = (int32_t)get32(p); break;
    case CLASP_F32: input->value.f = get_float(p); break;
    case CLASP_UNIT8: input->value.f = (float)*p / 255.0f; break;
    case CLASP_UNIT16: input->value.f = (float)get16(p) / 65535.0f; break;
#if CLASP_LINK_64BIT
    case CLASP_I64: input->value.i64 = (int64_t)get64(p); break;
    case CLASP_F64: {
      uint64_t bits = get64(p);
      memcpy(&input->value.f64, &bits, 8);
      break;
    }
#endif
    case T_FALSE: input->type = CLASP_BOOL; break;
    case T_TRUE:
      input->type = CLASP_BOOL;
      input->value.i = 1;
      break;
    default: break;
  }
}

static void deliver(clasp_link *link, uint16_t id, const clasp_input *input) {
  if (id < HOST_SIGNALS && input->why != CLASP_HAPPENED) {
    link->values[id] = input->value;
    put_in(link->is_known, id);
    take_out(link->is_dirty, id);
    take_out(link->is_offer, id);
  }
  if (link->config->on_input != NULL) link->config->on_input(link->config->context, id, input);
}

/* 0: the records are not well-formed; those in front of the bad one counted. */
static uint8_t read_records(clasp_link *link, const uint8_t *bytes, uint16_t length) {
  cursor c;
  clasp_input input;
  memset(&input, 0, sizeof input);
  c.at = bytes;
  c.end = bytes + length;
  c.failed = 0;
  while (c.at < c.end) {
    uint8_t op = (uint8_t)(*c.at >> 4), type = (uint8_t)(*c.at & 0x0F), extra = 0;
    uint16_t id;
    c.at++;
    if (op == OP_NOTHING) continue;
    if (op == OP_TIME) {
      const uint8_t *p = take(&c, type == 1 ? 8 : type == 0 ? 4 : 0);
      input.at_us = 0;
#if CLASP_LINK_TIME
      if (type == 1) input.at_us = (int64_t)get64(p);
#endif
      (void)p;
      if (type > 3 || c.failed) return 0;
      continue;
    }
    if (op == OP_CLASP) {
      uint16_t count = get16(take(&c, 2));
      take(&c, c.end - c.at < (ptrdiff_t)count ? 0xFFFF : count);
      if (c.failed) return 0;
      continue;
    }
    id = take_id(&c);
    if (op == OP_RESULT) {
      uint16_t code = get16(take(&c, 2));
      if (c.failed) return 0;
      if (code != 0 && link->config->on_refused != NULL) link->config->on_refused(link->config->context, id, code);
      continue;
    }
    if (op == OP_DECLARE) {
      uint8_t count;
      const uint8_t *address;
      take(&c, 1);
      count = *take(&c, 1);
      address = take(&c, count);
      if (c.failed) return 0;
      if (link->config->on_match != NULL) link->config->on_match(link->config->context, id, (const char *)address, count);
      continue;
    }
    if (op == OP_CONFIGURE) {
      uint16_t interval = get16(take(&c, 2));
      float deadband = get_float(take(&c, 4));
      if (c.failed) return 0;
#if CLASP_LINK_SAMPLING
      if (id < link->config->signal_count) {
        link->interval_ms[id] = interval;
        link->deadband[id] = deadband >= 0 ? deadband : 0;
      }
#else
      (void)interval;
      (void)deadband;
#endif
      continue;
    }
    if (op == OP_EXTENDED) {
      extra = *take(&c, 1);
      if (extra & X_REVISION) take(&c, 4);
      if (extra & X_TTL) take(&c, 4);
    }
    if (op == OP_GESTURE) take(&c, 2);
    if (op > OP_GESTURE || op == OP_BLOCK) return 0;
    take_value(&c, type, &input);
    if (c.failed) return 0;
    input.why = op >= OP_EVENT ? CLASP_HAPPENED : (extra & X_INITIAL) ? CLASP_INITIAL : CLASP_CHANGED;
    /* An id that was never declared is skipped. */
    if (id >= HOST_SIGNALS || (id < link->config->signal_count && (flags_of(link, id) & CLASP_IN))) deliver(link, id, &input);
    else if (id < link->config->signal_count && (extra & X_INITIAL)) deliver(link, id, &input);
  }
  return 1;
}

/* ---- Time ------------------------------------------------------------------------------------------------------------ */

#if CLASP_LINK_TIME
int64_t clasp_time(const clasp_link *link, uint32_t at_us) {
  int32_t passed = (int32_t)(at_us - link->time_at);
  if (link->time_count == 0) return 0;
  return link->time_us + passed + (((int64_t)passed * link->time_rate) >> 26);
}

/* The line's share of an exchange: `bytes` at ten bits each. */
static uint32_t line_us(const clasp_link *link, uint16_t bytes) {
  return link->line_baud == 0 ? 0 : (uint32_t)bytes * 10000u / (link->line_baud / 1000u + 1u);
}

/*
 * One exchange. The router stamps t2 when the last byte of the request is there and t3 when the first byte of the answer
 * leaves, so the time that both take on the line is taken off here. Exchanges that took much longer than the best
 * lately tell nothing. The rest steer phase and rate.
 */
static void time_answer(clasp_link *link, const uint8_t *body) {
  uint32_t received = link->now_us - line_us(link, 29), sent = get32(body) + line_us(link, 13);
  uint64_t t2 = get64(body + 4), t3 = get64(body + 12);
  uint32_t rtt = received - sent - (uint32_t)(t3 - t2);
  int64_t measured, error;
  uint32_t passed = received - link->time_at;
  if (rtt > 2000000u) return;
  if (link->time_rtt == 0xFFFFFFFFu || rtt < link->time_rtt) link->time_rtt = rtt;
  else link->time_rtt += (link->time_rtt >> 4) + 8;
  measured = (int64_t)t3 + (int64_t)(rtt / 2);
  if (link->time_count == 0) {
    link->time_rate = 0;
    link->time_us = measured;
    link->time_at = received;
    link->time_count = 1;
    return;
  }
  if (rtt > link->time_rtt + (link->time_rtt >> 1) + 100) return;
  error = measured - clasp_time(link, received);
  if (error > 100000 || error < -100000) {
    link->time_us = measured; /* the router's clock was set */
  } else {
    if (passed > 500000u) {
      link->time_rate += (int32_t)(error * (1 << 13) / (int64_t)(passed >> 11)); /* a quarter of the difference */
      if (link->time_rate > 33554) link->time_rate = 33554;                      /* 500 ppm */
      if (link->time_rate < -33554) link->time_rate = -33554;
    }
    link->time_us = clasp_time(link, received) + (link->time_count < 8 ? error / 2 : error / 4);
  }
  link->time_at = received;
  if (link->time_count < 255) link->time_count++;
}

static void ask_time(clasp_link *link) {
  uint8_t body[4];
  put32(body, link->now_us);
  send_control(link, C_TIME_REQUEST, body, 4);
  link->time_ms = link->now_ms + (link->time_count < 4 ? 100u : link->time_count < 16 ? 1000u : 4000u);
}
#endif

/* ---- Frames in ------------------------------------------------------------------------------------------------------- */

static void control_frame(clasp_link *link, uint8_t subtype, const uint8_t *body, uint16_t length) {
  switch (subtype) {
    case C_PROBE:
      if (link->state == CLASP_ANNOUNCING) link->announce_ms = link->now_ms;
      else answer(link, C_ANNOUNCE, NULL, 0);
      break;
    case C_WELCOME: welcome(link, body, length); break;
    case C_BYE:
      /* Replaced, refused or too old: asking again at once would only repeat it. */
      if (link->state != CLASP_ANNOUNCING) lose_link(link, length > 0 && body[0] >= 3 && body[0] <= 5 ? 10000 : ANNOUNCE_MS);
      break;
    case C_PING: answer(link, C_PONG, body, length > 4 ? 4 : length); break;
#if CLASP_LINK_TIME
    case C_TIME:
      if (length >= 20) time_answer(link, body);
      break;
#endif
    case C_BAUD_REQUEST:
      if (length >= 4 && link->config->set_baud != NULL && get32(body) != 0 && get32(body) <= link->config->max_baud) {
        answer(link, C_BAUD_OK, body, 4);
        link->new_baud = get32(body);
        link->speed = SPEED_AGREED;
        link->baud_ms = link->now_ms + SWITCH_MS;
      }
      break;
    case C_BAUD_TEST:
      if (link->speed == SPEED_TESTED) link->speed = SPEED_STEADY;
      answer(link, C_BAUD_TEST, body, length);
      break;
    default: break;
  }
}

/* A whole frame without its check: CTRL SEQ BODY. */
static void received(clasp_link *link, const uint8_t *frame, uint16_t length) {
  uint8_t class_ = (uint8_t)(frame[0] & CLASS), subtype = (uint8_t)(frame[0] & SUBTYPE);
  uint8_t number = (uint8_t)(frame[1] >> 4);
  if (class_ == CLASS || (class_ != CONTROL && (subtype != 0 || link->state == CLASP_ANNOUNCING))) return;
  link->counters.frames++;
  link->heard_ms = link->now_ms;
  if (class_ == CONTROL) control_frame(link, subtype, frame + 2, (uint16_t)(length - 2));
  if (link->state == CLASP_ANNOUNCING || (class_ == CONTROL && subtype == C_WELCOME)) return;
  link->hold_ms = (frame[0] & NOT_READY) ? link->now_ms + HOLD_MS : link->now_ms;
  acknowledged(link, (uint8_t)(frame[1] & 15));
  if (class_ == CONTROL) {
    if (subtype == C_NAK) rewind_window(link);
    return;
  }
  if (class_ == RELIABLE) {
    if (number != link->expected_r) {
      if (((link->expected_r - number) & 15) <= 8) {
        link->unacked = 1;
        link->ack_ms = link->now_ms;
      } else if (!link->is_gap) {
        link->is_gap = 1;
        answer(link, C_NAK, NULL, 0);
      }
      return;
    }
    link->expected_r = (uint8_t)((number + 1) & 15);
    link->is_gap = 0;
    link->ack_ms = link->now_ms + (link->unacked == 0 ? ACK_DELAY_MS : 0);
    link->unacked = 1;
  }
  if (!read_records(link, frame + 2, (uint16_t)(length - 2))) link->counters.bad++;
}

static void received_serial(clasp_link *link) {
  uint16_t crc, i;
  if (link->in_length < 4) {
    link->counters.bad++;
    return;
  }
  crc = (uint16_t)(0xFFFF ^ ((link->in[0] & CLASS) == CONTROL ? 0 : link->session));
  for (i = 0; i < link->in_length; i++) crc = crc16(crc, link->in[i]);
  if (crc != 0xF0B8) link->counters.bad++;
  else received(link, link->in, (uint16_t)(link->in_length - 2));
}

static void serial_byte(clasp_link *link, uint8_t byte) {
  if (byte == 0) {
    if (link->in_code != 0) {
      if (link->in_bad || link->in_left != 0) link->counters.bad++;
      else received_serial(link);
    }
    link->in_length = 0;
    link->in_code = link->in_left = link->in_bad = 0;
    return;
  }
  if (link->in_left > 0) {
    link->in_left--;
  } else {
    /* A code. The zero that the run before it stood for belongs here, unless that run was a full one. */
    uint8_t before = link->in_code;
    link->in_code = byte;
    link->in_left = (uint8_t)(byte - 1);
    if (before == 0 || before == 255) return;
    byte = 0;
  }
  if (link->in_length < CLASP_LINK_MRU) link->in[link->in_length++] = byte;
  else link->in_bad = 1;
}

#if CLASP_LINK_DATAGRAM
static void received_datagram(clasp_link *link, uint16_t length) {
  uint8_t *bytes = link->in;
  uint8_t form, head, has_mac, subtype;
  uint32_t token = 0, counter = 0;
  if (length < 4 || bytes[0] != 0x0C || bytes[1] >> 4 != 1) goto bad;
  form = bytes[1];
  has_mac = form & 1;
  head = (form & 2) ? 2 : 10;
  if (((form & 2) != 0) != (link->config->form == CLASP_PACKETS) || length < (uint16_t)(head + 2 + (has_mac ? 8 : 0))) goto bad;
  if (head == 10) {
    token = get32(bytes + 2);
    counter = get32(bytes + 6);
  }
  subtype = (bytes[head] & CLASS) == CONTROL ? (uint8_t)(bytes[head] & SUBTYPE) : 0xFF;
  if (subtype == C_CHALLENGE) {
    const uint8_t *body = bytes + head + 2;
    uint8_t cookie_length = (uint8_t)(length - head - 10);
    if (link->state != CLASP_ANNOUNCING || has_mac || length < (uint16_t)(head + 11) || length > (uint16_t)(head + 26)) goto bad;
    memcpy(link->nonces + 8, body, 8);
    link->cookie_length = cookie_length;
    memcpy(link->cookie, body + 8, cookie_length);
#if CLASP_LINK_AUTH
    if (link->config->key != NULL) make_keys(link);
#endif
    link->announce_ms = link->now_ms;
    return;
  }
#if CLASP_LINK_AUTH
  if (link->config->key != NULL) {
    uint8_t digest[32], difference = 0, i;
    if (!link->has_keys || !has_mac) goto bad;
    length = (uint16_t)(length - 8);
    hmac(link->key_in, bytes, length, NULL, 0, NULL, 0, digest);
    for (i = 0; i < 8; i++) difference = (uint8_t)(difference | (digest[i] ^ bytes[length + i]));
    if (difference != 0) goto bad;
  } else
#endif
    if (has_mac) goto bad;
  if (head == 10) {
    uint8_t is_stale = 0;
    if (subtype == C_WELCOME) {
      if (length < (uint16_t)(head + 23) || get32(bytes + head + 2 + 9) != link->nonce) goto bad;
      /* Only a WELCOME that is newer than what came before starts a session over. */
      if (token == link->token && counter <= link->seen_counter) goto bad;
      link->token = token;
      link->seen_counter = counter;
      link->seen = 1;
    } else if (link->state == CLASP_ANNOUNCING) {
      if (subtype != C_PROBE) return;
    } else {
      if (token != link->token) goto bad;
      if (counter > link->seen_counter) {
        uint32_t ahead = counter - link->seen_counter;
        link->seen = ahead > 63 ? 1 : (link->seen << ahead) | 1;
        link->seen_counter = counter;
      } else {
        uint32_t behind = link->seen_counter - counter;
        if (behind > 63 || ((link->seen >> behind) & 1)) goto bad;
        link->seen |= (uint64_t)1 << behind;
        is_stale = 1;
      }
    }
    /* What may be lost must not come late either: a newer value is already there. */
    if (is_stale && (bytes[head] & CLASS) == UNRELIABLE) return;
  }
  received(link, bytes + head, (uint16_t)(length - head));
  return;
bad:
  link->counters.bad++;
}
#endif

static void read_line(clasp_link *link) {
  uint8_t rounds;
#if CLASP_LINK_DATAGRAM
  if (link->config->form != CLASP_SERIAL) {
    for (rounds = 0; rounds < 8; rounds++) {
      size_t count = link->config->read(link->config->context, link->in, CLASP_LINK_MRU);
      if (count == 0) return;
      received_datagram(link, (uint16_t)count);
    }
    return;
  }
#endif
  /* Bounded, so that a line that never pauses cannot keep the program from its work. */
  for (rounds = 0; rounds < 16; rounds++) {
    uint8_t chunk[32];
    size_t count = link->config->read(link->config->context, chunk, sizeof chunk), i;
    if (count == 0) return;
    for (i = 0; i < count && i < sizeof chunk; i++) serial_byte(link, chunk[i]);
  }
}

/* ---- Records out ----------------------------------------------------------------------------------------------------- */

enum { VALUE_BYTES = 8 + 4 + 3 }; /* largest record of a number: operation, id, extras, value */

static int32_t clamped(float v, float most) {
  if (!(v > 0)) return 0;
  return (int32_t)((v < 1 ? v : 1) * most + 0.5f);
}

/* op, id and value; NULL when `p` has no room. `extras` go between id and value. */
static uint8_t *put_value(const clasp_link *link, uint8_t *p, const uint8_t *end, uint8_t op, uint16_t id, uint8_t type,
                          const uint8_t *extras, uint8_t extra_count, clasp_value value) {
  uint8_t length = 0;
  (void)link;
  if (type == CLASP_STRING) {
    size_t most = (size_t)(end - p);
    if (value.text == NULL) type = CLASP_NULL;
    else {
      /* A text that fits into no frame is cut. */
      length = text_length(value.text, (uint8_t)(CLASP_LINK_MTU - 12 > 120 ? 120 : CLASP_LINK_MTU - 12));
      if (most < (size_t)(length + 5 + extra_count)) return NULL;
    }
  } else if (end - p < VALUE_BYTES - 4 + extra_count - (size_of(type) < 8 ? 4 : 0)) {
    return NULL;
  }
  if (type == CLASP_BOOL) type = value.i != 0 ? T_TRUE : T_FALSE;
  *p++ = (uint8_t)(op << 4 | type);
  p = put_id(p, id);
  while (extra_count-- > 0) *p++ = *extras++;
  switch (type) {
    case CLASP_I8: *p++ = (uint8_t)value.i; break;
    case CLASP_I16: p = put16(p, (uint16_t)value.i); break;
    case CLASP_I32: p = put32(p, (uint32_t)value.i); break;
    case CLASP_F32: p = put_float(p, value.f); break;
    case CLASP_STRING:
      p = put_id(p, length);
      memcpy(p, value.text, length);
      p += length;
      break;
    case CLASP_UNIT8: *p++ = (uint8_t)clamped(value.f, 255.0f); break;
    case CLASP_UNIT16: p = put16(p, (uint16_t)clamped(value.f, 65535.0f)); break;
#if CLASP_LINK_64BIT
    case CLASP_I64: p = put64(p, (uint64_t)value.i64); break;
    case CLASP_F64: {
      uint64_t bits;
      memcpy(&bits, &value.f64, 8);
      p = put64(p, bits);
      break;
    }
#endif
    default: break;
  }
  return p;
}

static uint8_t is_lossy(uint8_t flags) { return (flags & 0x07) == CLASP_STREAM || (flags & CLASP_LOSSY) != 0; }

static uint8_t is_due(const clasp_link *link, uint16_t signal) {
#if CLASP_LINK_SAMPLING
  uint16_t wait = (uint16_t)(link->due_ms[signal] - (uint16_t)link->now_ms);
  return link->interval_ms[signal] == 0 || wait == 0 || wait > link->interval_ms[signal];
#else
  (void)link;
  (void)signal;
  return 1;
#endif
}

/* Dirty values of one class, as many as fit; the search goes on where the last one ended, so that all get their turn. */
static uint8_t *put_dirty(clasp_link *link, uint8_t *p, const uint8_t *end, uint8_t lossy) {
  uint16_t count = link->config->signal_count, i, signal = link->turn;
  for (i = 0; i < count; i++, signal++) {
    static const uint8_t offer = X_INITIAL;
    uint8_t flags, is_offer, *next;
    if (signal >= count) signal = 0;
    if (!has(link->is_dirty, signal)) continue;
    flags = flags_of(link, signal);
    if (is_lossy(flags) != lossy || !is_due(link, signal)) continue;
    is_offer = has(link->is_offer, signal);
    next = put_value(link, p, end, is_offer ? OP_EXTENDED : (flags & 0x07) == CLASP_STREAM ? OP_STREAM : OP_VALUE, signal,
                     type_of(link, signal), &offer, is_offer, link->values[signal]);
    if (next == NULL) {
      link->turn = signal;
      break;
    }
    p = next;
    take_out(link->is_dirty, signal);
    take_out(link->is_offer, signal);
#if CLASP_LINK_SAMPLING
    link->due_ms[signal] = (uint16_t)(link->now_ms + link->interval_ms[signal]);
#endif
  }
  return p;
}

static uint8_t *put_events(clasp_link *link, uint8_t *p, const uint8_t *end) {
  uint8_t done = 0;
  while (done < link->event_count) {
    uint8_t extras[2], *next;
    extras[0] = link->events[done].phase;
    extras[1] = link->events[done].gesture;
    next = put_value(link, p, end, (uint8_t)(link->events[done].op >> 4), link->events[done].signal,
                     (uint8_t)(link->events[done].op & 15), extras, (link->events[done].op >> 4) == OP_GESTURE ? 2 : 0,
                     link->events[done].value);
    if (next == NULL) break;
    p = next;
    done++;
  }
  if (done > 0) {
    link->event_count = (uint8_t)(link->event_count - done);
    memmove(link->events, link->events + done, link->event_count * sizeof link->events[0]);
  }
  return p;
}

#if CLASP_LINK_SUBSCRIPTIONS
static uint8_t *put_subscriptions(clasp_link *link, uint8_t *p, const uint8_t *end) {
  uint8_t i;
  for (i = 0; i < CLASP_LINK_SUBSCRIPTIONS; i++) {
    const char *pattern = link->subscriptions[i].pattern;
    if (!link->subscriptions[i].todo) continue;
    if (link->subscriptions[i].todo == 2) {
      if (end - p < 2) return p;
      *p++ = OP_SUBSCRIBE << 4 | 1;
      *p++ = i;
    } else {
      uint8_t length = text_length(pattern, 40);
      if (end - p < length + 5) return p;
      *p++ = OP_SUBSCRIBE << 4;
      *p++ = i;
      p = put16(put_text(p, pattern, length), link->subscriptions[i].max_rate);
    }
    link->subscriptions[i].todo = 0;
  }
  return p;
}
#endif

static uint8_t *put_descriptor(clasp_link *link, uint8_t *p, const uint8_t *end) {
  while (link->described < descriptor_records(link)) {
    uint8_t record[RECORD_BYTES];
    uint16_t length = (uint16_t)(put_descriptor_record(link, link->described, record) - record);
    if (end - p < (ptrdiff_t)length) return p;
    memcpy(p, record, length);
    p += length;
    link->described++;
  }
  if (end - p < 5) return p;
  *p++ = OP_DECLARED << 4;
  p = put32(p, link->hash);
  set_state(link, CLASP_RUNNING);
  return p;
}

static uint16_t frame_limit(const clasp_link *link) {
  uint16_t limit = link->peer_mru < CLASP_LINK_MTU ? link->peer_mru : CLASP_LINK_MTU;
  return (uint16_t)(limit - 2);
}

static uint8_t has_room_in_window(const clasp_link *link) {
  return (uint8_t)((link->next_r - link->oldest_r) & 15) < link->peer_window;
}

/* The next place of the window, with its header written. */
static uint8_t *open_reliable(clasp_link *link) {
  uint8_t *frame = link->window[link->next_r % CLASP_LINK_WINDOW];
  frame[0] = RELIABLE;
  frame[1] = (uint8_t)(link->next_r << 4);
  return frame;
}

static void close_reliable(clasp_link *link, uint16_t length) {
  link->window_length[link->next_r % CLASP_LINK_WINDOW] = length;
  link->next_r = (uint8_t)((link->next_r + 1) & 15);
}

static void build_reliable(clasp_link *link) {
  uint8_t *frame, *p, *end;
  if (!has_room_in_window(link)) return;
  frame = open_reliable(link);
  p = frame + 2;
  end = frame + frame_limit(link);
  if (link->state == CLASP_SYNCING) {
    p = put_descriptor(link, p, end);
  } else {
#if CLASP_LINK_SUBSCRIPTIONS
    p = put_subscriptions(link, p, end);
#endif
    p = put_events(link, p, end);
    p = put_dirty(link, p, end, 0);
  }
  if (p > frame + 2) close_reliable(link, (uint16_t)(p - frame));
}

static uint8_t send_unreliable(clasp_link *link) {
  uint8_t frame[CLASP_LINK_MTU - 2], *p;
  if (link->state != CLASP_RUNNING || !is_past(link->now_ms, link->hold_ms)) return 0;
  p = put_dirty(link, frame + 2, frame + frame_limit(link), 1);
  if (p == frame + 2) return 0;
  frame[0] = UNRELIABLE;
  frame[1] = (uint8_t)(link->next_u << 4);
  link->next_u = (uint8_t)((link->next_u + 1) & 15);
  send_frame(link, frame, (uint16_t)(p - frame));
  return 1;
}

/* Sends the most urgent frame there is on the free line; 0: there is none. */
static uint8_t send_next(clasp_link *link) {
  if (link->control != 0) {
    uint8_t subtype = link->control & SUBTYPE;
    link->control = 0;
    if (subtype == C_ANNOUNCE) announce(link);
    else send_control(link, subtype, link->control_body, link->control_length);
    if (subtype == C_BAUD_OK) link->baud_ms = link->now_ms + SWITCH_MS;
    return 1;
  }
  if (link->speed != SPEED_STEADY) return 0;
  if (link->state == CLASP_ANNOUNCING) {
    if (link->is_asleep || !is_past(link->now_ms, link->announce_ms)) return 0;
    announce(link);
    return 1;
  }
  if (link->resend_r == link->next_r) build_reliable(link);
  if (link->resend_r != link->next_r) {
    uint8_t place = link->resend_r % CLASP_LINK_WINDOW;
    if (link->resend_r == link->oldest_r) link->retry_ms = link->now_ms + retry_time(link);
    link->resend_r = (uint8_t)((link->resend_r + 1) & 15);
    send_frame(link, link->window[place], link->window_length[place]);
    return 1;
  }
  if (send_unreliable(link)) return 1;
#if CLASP_LINK_TIME
  if (is_past(link->now_ms, link->time_ms)) {
    ask_time(link);
    return 1;
  }
#endif
  if ((link->unacked && is_past(link->now_ms, link->ack_ms)) || link->now_ms - link->sent_ms >= link->keepalive_ms) {
    send_control(link, C_ACK, NULL, 0);
    return 1;
  }
  return 0;
}

/* ---- What the program calls ------------------------------------------------------------------------------------------ */

clasp_result clasp_init(clasp_link *link, const clasp_config *config, uint32_t nonce, uint32_t now_us) {
  memset(link, 0, sizeof *link);
  if (config->signal_count > CLASP_LINK_SIGNALS || config->write == NULL || config->read == NULL || config->uid == NULL)
    return CLASP_INVALID;
#if !CLASP_LINK_DATAGRAM
  if (config->form != CLASP_SERIAL) return CLASP_INVALID;
#endif
  link->config = config;
  link->now_us = now_us;
  link->nonce = nonce;
  link->random = nonce != 0 ? nonce : 0x9E3779B9u;
  link->line_baud = config->baud;
  link->peer_mru = 64;
  link->peer_window = 1;
  link->keepalive_ms = 1000;
  link->hash = descriptor_hash(link);
  restart(link, random32(link) & 0x3F);
  return CLASP_OK;
}

static void tick(clasp_link *link, uint32_t now_us) {
  uint32_t passed = now_us - link->now_us + link->us_rest;
  link->now_us = now_us;
  link->now_ms += passed / 1000u;
  link->us_rest = (uint16_t)(passed % 1000u);
}

void clasp_poll(clasp_link *link, uint32_t now_us) {
  uint8_t frames;
  tick(link, now_us);
#if CLASP_LINK_BUNDLES
  link->bundle_length = 0;
#endif
  if (link->is_asleep) return;
  read_line(link);
  if (link->speed != SPEED_STEADY && link->control == 0 && is_past(link->now_ms, link->baud_ms)) {
    if (link->speed == SPEED_AGREED) {
      use_speed(link, link->new_baud);
      link->speed = SPEED_TESTED;
      link->baud_ms = link->now_ms + SPEED_TEST_MS;
    } else {
      use_speed(link, 0);
      link->speed = SPEED_STEADY;
    }
  }
  if (link->state != CLASP_ANNOUNCING) {
    if (link->now_ms - link->heard_ms > 3u * link->keepalive_ms) {
      lose_link(link, 0);
    } else if (link->oldest_r != link->resend_r && is_past(link->now_ms, link->retry_ms)) {
      if (link->retries >= MAX_RETRIES) {
        lose_link(link, 0);
      } else {
        link->retries++;
        rewind_window(link);
        link->retry_ms = link->now_ms + retry_time(link);
      }
    }
  }
  for (frames = 0; frames < FRAMES_PER_POLL; frames++)
    if (!flush(link) || !send_next(link)) return;
}

static clasp_result changed(clasp_link *link, uint16_t signal, clasp_value value, uint8_t is_same) {
  if (is_same && has(link->is_known, signal) && (flags_of(link, signal) & 0x07) != CLASP_STREAM) return CLASP_OK;
  link->values[signal] = value;
  put_in(link->is_known, signal);
  put_in(link->is_dirty, signal);
  if (link->state == CLASP_RUNNING) take_out(link->is_offer, signal);
  return CLASP_OK;
}

static uint8_t may_publish(const clasp_link *link, uint16_t signal) {
  return signal < link->config->signal_count && (flags_of(link, signal) & CLASP_OUT) != 0 &&
         (flags_of(link, signal) & 0x07) != CLASP_EVENT;
}

clasp_result clasp_set_int(clasp_link *link, uint16_t signal, int32_t value) {
  clasp_value v;
  uint8_t type;
  memset(&v, 0, sizeof v);
  if (!may_publish(link, signal)) return CLASP_INVALID;
  type = type_of(link, signal);
  if (type == CLASP_F32 || type >= CLASP_UNIT8) return clasp_set_float(link, signal, (float)value);
  if (type < CLASP_BOOL || type > CLASP_I32) return CLASP_INVALID;
  v.i = value;
#if CLASP_LINK_SAMPLING
  if (type != CLASP_BOOL && has(link->is_known, signal)) {
    float difference = (float)(value - link->values[signal].i);
    if (difference < link->deadband[signal] && -difference < link->deadband[signal]) return CLASP_OK;
  }
#endif
  return changed(link, signal, v, link->values[signal].i == value);
}

clasp_result clasp_set_float(clasp_link *link, uint16_t signal, float value) {
  clasp_value v;
  uint8_t type;
  memset(&v, 0, sizeof v);
  if (!may_publish(link, signal)) return CLASP_INVALID;
  type = type_of(link, signal);
  if (type >= CLASP_BOOL && type <= CLASP_I32) return clasp_set_int(link, signal, (int32_t)value);
  if (type != CLASP_F32 && type < CLASP_UNIT8) return CLASP_INVALID;
  v.f = value;
#if CLASP_LINK_SAMPLING
  if (has(link->is_known, signal)) {
    float difference = value - link->values[signal].f;
    if (difference < link->deadband[signal] && -difference < link->deadband[signal]) return CLASP_OK;
  }
#endif
  /* By bits: a NaN is equal to itself, and the sign of zero tells. */
  return changed(link, signal, v, memcmp(&link->values[signal].f, &value, sizeof value) == 0);
}

clasp_result clasp_set_text(clasp_link *link, uint16_t signal, const char *text) {
  clasp_value v;
  memset(&v, 0, sizeof v);
  if (!may_publish(link, signal) || type_of(link, signal) != CLASP_STRING) return CLASP_INVALID;
  v.text = text;
  /* The same pointer may hold another text. */
  return changed(link, signal, v, 0);
}

clasp_result clasp_set(clasp_link *link, uint16_t signal, clasp_value value) {
  if (signal >= link->config->signal_count) return CLASP_INVALID;
  switch (type_of(link, signal)) {
    case CLASP_STRING: return clasp_set_text(link, signal, value.text);
    case CLASP_F32:
    case CLASP_UNIT8:
    case CLASP_UNIT16: return clasp_set_float(link, signal, value.f);
#if CLASP_LINK_64BIT
    case CLASP_I64:
      if (!may_publish(link, signal)) return CLASP_INVALID;
      return changed(link, signal, value, link->values[signal].i64 == value.i64);
    case CLASP_F64:
      if (!may_publish(link, signal)) return CLASP_INVALID;
      return changed(link, signal, value, memcmp(&link->values[signal].f64, &value.f64, 8) == 0);
#endif
    default: return clasp_set_int(link, signal, value.i);
  }
}

static clasp_result queue_event(clasp_link *link, uint16_t signal, uint8_t op, uint8_t phase, uint8_t id, clasp_value value) {
  uint8_t type;
  if (signal >= link->config->signal_count || !(flags_of(link, signal) & CLASP_OUT)) return CLASP_INVALID;
  if (link->state == CLASP_ANNOUNCING) return CLASP_OFFLINE;
  if (link->event_count >= CLASP_LINK_EVENTS) {
    link->counters.lost_events++;
    return CLASP_BUSY;
  }
  type = type_of(link, signal);
  if (size_of(type) == 255 && type != CLASP_STRING) return CLASP_INVALID;
  link->events[link->event_count].signal = signal;
  link->events[link->event_count].op = (uint8_t)(op << 4 | type);
  link->events[link->event_count].phase = phase;
  link->events[link->event_count].gesture = id;
  link->events[link->event_count].value = value;
  link->event_count++;
  return CLASP_OK;
}

clasp_result clasp_emit(clasp_link *link, uint16_t signal, clasp_value value) {
  return queue_event(link, signal, OP_EVENT, 0, 0, value);
}

clasp_result clasp_gesture(clasp_link *link, uint16_t signal, uint8_t id, uint8_t phase, clasp_value value) {
  return queue_event(link, signal, OP_GESTURE, phase, id, value);
}

clasp_result clasp_stream(clasp_link *link, uint16_t signal, uint16_t interval, const clasp_value *samples, uint8_t count) {
  uint8_t frame[CLASP_LINK_MTU - 2], *p = frame + 2, type, size, i;
  if (signal >= link->config->signal_count || (flags_of(link, signal) & 0x07) != CLASP_STREAM) return CLASP_INVALID;
  type = type_of(link, signal);
  size = type == CLASP_BOOL ? 1 : size_of(type);
  if (size == 255 || size == 0 || 6 + (uint16_t)(size * count) > frame_limit(link)) return CLASP_INVALID;
  if (link->state != CLASP_RUNNING) return CLASP_OFFLINE;
  if (link->speed != SPEED_STEADY || !flush(link) || !is_past(link->now_ms, link->hold_ms)) return CLASP_BUSY;
  frame[0] = UNRELIABLE;
  frame[1] = (uint8_t)(link->next_u << 4);
  *p++ = (uint8_t)(OP_BLOCK << 4 | type);
  p = put_id(p, signal);
  *p++ = count;
  p = put16(p, interval);
  for (i = 0; i < count; i++) {
    /* The value alone: what put_value writes behind operation and id. */
    uint8_t record[VALUE_BYTES], *end;
    if (type == CLASP_BOOL) {
      *p++ = samples[i].i != 0;
      continue;
    }
    end = put_value(link, record, record + sizeof record, 0, 0, type, NULL, 0, samples[i]);
    if (end == NULL) return CLASP_INVALID;
    memcpy(p, record + 2, size);
    p += size;
  }
  link->next_u = (uint8_t)((link->next_u + 1) & 15);
  send_frame(link, frame, (uint16_t)(p - frame));
  return CLASP_OK;
}

#if CLASP_LINK_SUBSCRIPTIONS
clasp_result clasp_subscribe(clasp_link *link, uint8_t slot, const char *pattern, uint16_t max_rate) {
  if (slot >= CLASP_LINK_SUBSCRIPTIONS || (pattern != NULL && text_length(pattern, 41) > 40)) return CLASP_INVALID;
  link->subscriptions[slot].pattern = pattern;
  link->subscriptions[slot].max_rate = max_rate;
  link->subscriptions[slot].todo = pattern != NULL ? 1 : 2;
  return CLASP_OK;
}
#endif

clasp_result clasp_get(clasp_link *link, uint16_t signal) {
  uint8_t *frame, *end;
  if (signal >= link->config->signal_count) return CLASP_INVALID;
  if (link->state != CLASP_RUNNING) return CLASP_OFFLINE;
  if (!has_room_in_window(link)) return CLASP_BUSY;
  frame = open_reliable(link);
  frame[2] = OP_GET << 4;
  end = put_id(frame + 3, signal);
  close_reliable(link, (uint16_t)(end - frame));
  return CLASP_OK;
}

#if CLASP_LINK_BUNDLES
clasp_result clasp_bundle_begin(clasp_link *link, int64_t at_us) {
  uint8_t *frame;
  if (link->state != CLASP_RUNNING) return CLASP_OFFLINE;
  if (!has_room_in_window(link)) return CLASP_BUSY;
  frame = open_reliable(link);
  /* TIME 2: the records up to the end of the frame are one bundle; 3: at this time. */
  frame[2] = (uint8_t)(OP_TIME << 4 | (at_us != 0 ? 3 : 2));
  if (at_us != 0) put32(put32(frame + 3, (uint32_t)((uint64_t)at_us >> 32)), (uint32_t)at_us);
  link->bundle_length = at_us != 0 ? 11 : 3;
  return CLASP_OK;
}

clasp_result clasp_bundle_add(clasp_link *link, uint16_t signal, clasp_value value) {
  uint8_t *frame = link->window[link->next_r % CLASP_LINK_WINDOW], *end;
  uint8_t flags;
  if (link->bundle_length == 0 || signal >= link->config->signal_count) return CLASP_INVALID;
  flags = flags_of(link, signal);
  if (!(flags & CLASP_OUT)) return CLASP_INVALID;
  end = put_value(link, frame + link->bundle_length, frame + frame_limit(link),
                  (flags & 0x07) == CLASP_EVENT ? OP_EVENT : (flags & 0x07) == CLASP_STREAM ? OP_STREAM : OP_VALUE, signal,
                  type_of(link, signal), NULL, 0, value);
  if (end == NULL) return CLASP_BUSY;
  link->bundle_length = (uint16_t)(end - frame);
  if ((flags & 0x07) != CLASP_EVENT) {
    link->values[signal] = value;
    put_in(link->is_known, signal);
    take_out(link->is_dirty, signal);
  }
  return CLASP_OK;
}

clasp_result clasp_bundle_send(clasp_link *link) {
  if (link->bundle_length == 0) return CLASP_INVALID;
  close_reliable(link, link->bundle_length);
  link->bundle_length = 0;
  return CLASP_OK;
}
#endif

#if CLASP_LINK_SAMPLING
uint16_t clasp_interval(const clasp_link *link, uint16_t signal) {
  return signal < link->config->signal_count ? link->interval_ms[signal] : 0;
}
#endif

void clasp_hold(clasp_link *link, uint8_t is_held) { link->is_held = is_held != 0; }

clasp_result clasp_log(clasp_link *link, uint8_t level, const char *text) {
  uint8_t frame[CLASP_LINK_MTU - 2];
  uint8_t length = text_length(text, (uint8_t)(frame_limit(link) - 3 > 250 ? 250 : frame_limit(link) - 3));
  if (link->state != CLASP_RUNNING) return CLASP_OFFLINE;
  if (link->speed != SPEED_STEADY || !flush(link)) return CLASP_BUSY;
  frame[0] = CONTROL | C_LOG;
  frame[1] = 0;
  frame[2] = level;
  memcpy(frame + 3, text, length);
  send_frame(link, frame, (uint16_t)(length + 3));
  return CLASP_OK;
}

clasp_result clasp_sleep(clasp_link *link, uint16_t seconds) {
  uint8_t body[3];
  if (link->state != CLASP_RUNNING) return CLASP_OFFLINE;
  if (link->oldest_r != link->next_r || link->event_count > 0 || !flush(link)) return CLASP_BUSY;
  body[0] = BYE_SLEEP;
  put16(body + 1, seconds);
  send_control(link, C_BYE, body, 3);
  restart(link, 0);
  link->is_asleep = 1;
  set_state(link, CLASP_ANNOUNCING);
  return CLASP_OK;
}

void clasp_wake(clasp_link *link, uint32_t now_us) {
  link->now_us = now_us;
  link->is_asleep = 0;
  link->announce_ms = link->now_ms;
}
