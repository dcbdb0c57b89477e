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
enum { X_REVISION = 0x01, X_TTL = 0x02, X_INITIAL = 0x10 };
/* Types that exist in records only. */
enum { T_FALSE = 0xE, T_TRUE = 0xF };
enum { HOST_SIGNALS = 16384 };

/* Bits of a signal's flags that say what it is. */
enum { KIND = 0x07 };

/* Marks of a signal. */
enum {
  KNOWN = 1,  /* has a value */
  DIRTY = 2,  /* that the router does not have */
  OFFER = 4,  /* which counts only where the router has none */
  BUNDLED = 8 /* in the open bundle */
};

enum {
  FRAMES_PER_POLL = CLASP_LINK_WINDOW + 2,
  ACK_DELAY_MS = 5,
  RETRY_MS = 60,
  MAX_RETRIES = 8,
  MAX_MISSED = 3, /* keep-alives in a row */
  IDLE_MS = 20,   /* after which a frame starts with a delimiter */
  ANNOUNCE_MS = 1000,
  REFUSED_MS = 10000,
  HOLD_MS = 1000,
  SWITCH_MS = 15,
  SPEED_TEST_MS = 500,
  BYE_SLEEP = 7
};
enum { SPEED_STEADY = 0, SPEED_AGREED = 1, SPEED_TESTED = 2 };
enum { NO_GAP = 0, GAP_FOUND = 1, GAP_TOLD = 2 };

/* Indexes of `timers`. */
enum { TO_ANNOUNCE, TO_MISS, TO_SEND, TO_ACK, TO_RETRY, TO_GO_ON, TO_SWITCH, TO_ASK_TIME };

enum {
  SERIAL_HEAD = 3 + CLASP_LINK_MTU / 254, /* delimiter and COBS codes */
  DATAGRAM_HEAD = 10,
  PACKET_HEAD = 2,
  MAC_BYTES = 8,
  FRAME_AT = CLASP_LINK_DATAGRAM ? DATAGRAM_HEAD : SERIAL_HEAD, /* of a frame that is built in `out` */
  RECORD_BYTES = 56,                                            /* largest of the descriptor */
  DESCRIBED = 0x7FFF                                            /* `described` when all of it is in the window */
};

/* ---- Bytes ----------------------------------------------------------------------------------------------------------- */

/* What is much shorter as a call than in the place of each. */
#ifdef __GNUC__
#define SMALL __attribute__((noinline))
#else
#define SMALL
#endif

#ifdef __AVR__
#define ROM_BYTE(p) pgm_read_byte(p)
#define ROM_COPY(to, from, size) memcpy_P(to, from, size)
#else
#define ROM_BYTE(p) (*(const uint8_t *)(p))
#define ROM_COPY(to, from, size) memcpy(to, from, size)
#endif

/* Everything is big-endian. `size` up to 4; returns the place behind it. */
static uint8_t *put_number(uint8_t *p, uint32_t n, uint8_t size) {
  uint8_t *end = p + size;
  while (size > 0) {
    p[--size] = (uint8_t)n;
    n >>= 8;
  }
  return end;
}

static SMALL uint32_t get_number(const uint8_t *p, uint8_t size) {
  uint32_t n = 0;
  while (size-- > 0) n = n << 8 | *p++;
  return n;
}

static uint8_t *put32(uint8_t *p, uint32_t n) { return put_number(p, n, 4); }

static uint16_t get16(const uint8_t *p) { return (uint16_t)get_number(p, 2); }

#if CLASP_LINK_64BIT || CLASP_LINK_BUNDLES
static uint8_t *put64(uint8_t *p, uint64_t n) { return put32(put32(p, (uint32_t)(n >> 32)), (uint32_t)n); }
#endif

#if CLASP_LINK_TIME
static uint64_t get64(const uint8_t *p) { return (uint64_t)get_number(p, 4) << 32 | get_number(p + 4, 4); }
#endif

static uint8_t *put_float(uint8_t *p, float v) {
  uint32_t bits;
  memcpy(&bits, &v, 4);
  return put32(p, bits);
}

#if CLASP_LINK_SAMPLING
static float get_float(const uint8_t *p) {
  uint32_t bits = get_number(p, 4);
  float v;
  memcpy(&v, &bits, 4);
  return v;
}
#endif

/* Ids: 00 … 7F in one byte, up to 32767 in two. */
static uint8_t *put_id(uint8_t *p, uint16_t id) {
  if (id >= 0x80) *p++ = (uint8_t)(0x80 | (id >> 8));
  *p++ = (uint8_t)id;
  return p;
}

/* Never ends within a character of UTF-8. */
static uint8_t text_length(const char *text, uint8_t most) {
  uint8_t length = 0;
  while (text[length] != 0) {
    if (length == most) {
      while (length > 0 && ((uint8_t)text[length] & 0xC0) == 0x80) length--;
      break;
    }
    length++;
  }
  return length;
}

static uint8_t *put_bytes(uint8_t *p, const void *bytes, uint8_t count) {
  *p++ = count;
  memcpy(p, bytes, count);
  return p + count;
}

static uint8_t *put_text(uint8_t *p, const char *text, uint8_t most) { return put_bytes(p, text, text_length(text, most)); }

/* CRC-16/X-25 over a frame, which starts with CTRL: FFFF and the session, of which control frames know nothing. Sent
 * inverted, low byte first; F0B8 over a frame with its CRC. */
static uint16_t crc16(const clasp_link *link, const uint8_t *frame, uint16_t count) {
  uint16_t crc = 0xFFFF;
  if ((*frame & CLASS) != CONTROL) crc ^= link->session;
  while (count-- > 0) {
    uint8_t byte = (uint8_t)(*frame++ ^ crc);
    byte = (uint8_t)(byte ^ (byte << 4));
    crc = (uint16_t)((crc >> 8) ^ ((uint16_t)byte << 8) ^ ((uint16_t)byte << 3) ^ (byte >> 4));
  }
  return crc;
}

static uint32_t crc32(uint32_t crc, const uint8_t *bytes, const uint8_t *end) {
  while (bytes < end) {
    uint8_t bit;
    crc ^= *bytes++;
    for (bit = 0; bit < 8; bit++) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0xEDB88320u : crc >> 1;
  }
  return crc;
}

/* Numerical Recipes' generator; its upper bits are the good ones. */
static SMALL uint32_t random32(clasp_link *link) { return link->random = link->random * 1664525u + 1013904223u; }

/* NULL: there is no such signal. */
static SMALL clasp_slot *slot_of(clasp_link *link, uint16_t signal) {
  return signal < link->config->signal_count ? &link->slots[signal] : NULL;
}

/* Bytes of a value of this type; FF: its length is in front of it; FE: it is no type. */
static uint8_t size_of(uint8_t type) {
  static const uint8_t sizes[16] CLASP_ROM = {0, 1, 1, 2, 4, 8, 4, 8, 255, 255, 254, 254, 1, 2, 0, 0};
  return ROM_BYTE(&sizes[type]);
}

/* 1 as a CLASP_UNIT. */
static float most_of(uint8_t type) { return type == CLASP_UNIT8 ? 255.0f : 65535.0f; }

static uint8_t is_float(uint8_t type) { return type == CLASP_F32 || type >= CLASP_UNIT8; }

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
  for (i = 0; i < 16; i++) w[i] = get_number(s->block + 4 * i, 4);
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

/* Where the records of a frame, or the body of a control frame, are built while the line is free. */
static uint8_t *body_of(clasp_link *link) { return link->out + FRAME_AT + 2; }

/* Gives the transport what is left of the frame; 0: the line is busy. */
static uint8_t flush(clasp_link *link) {
  while (link->out_sent < link->out_length) {
    size_t left = (size_t)(link->out_length - link->out_sent);
    size_t taken = link->config->write(link->config->context, link->out + link->out_sent, left);
    if (taken == 0) return 0;
    link->out_sent = (uint16_t)(link->out_sent + (taken < left ? taken : left));
  }
  return 1;
}

/* COBS (README, "Serial line"): the code in front of each run says how far the next zero is. It is never written over
 * what is still to be read: the head of the frame is as long as all codes. */
static void encode_serial(clasp_link *link, uint8_t *end) {
  uint8_t *from = link->out + FRAME_AT, *to = link->out, *code, run = 1;
  uint16_t crc = (uint16_t)~crc16(link, from, (uint16_t)(end - from));
  *end++ = (uint8_t)crc;
  *end++ = (uint8_t)(crc >> 8);
  if (!link->is_delimited || link->keepalive_ms - link->timers[TO_SEND] > IDLE_MS) *to++ = 0;
  link->is_delimited = 1;
  code = to++;
  while (from < end) {
    uint8_t byte = *from++;
    if (byte != 0) {
      *to++ = byte;
      run++;
    }
    if (byte == 0 || run == 255) {
      *code = run;
      code = to++;
      run = 1;
    }
  }
  *code = run;
  *to++ = 0;
  link->out_sent = 0;
  link->out_length = (uint16_t)(to - link->out);
}

#if CLASP_LINK_DATAGRAM
/* 0C, form, and where the carrier does not know its peer token and counter; then the frame, then the MAC. */
static void encode_datagram(clasp_link *link, uint8_t *end) {
  uint8_t is_short = link->config->form == CLASP_PACKETS;
  uint8_t *start = link->out + FRAME_AT - (is_short ? PACKET_HEAD : DATAGRAM_HEAD);
  start[0] = 0x0C;
  start[1] = (uint8_t)(0x10 | (is_short ? 2 : 0) | (link->has_keys ? 1 : 0));
  if (!is_short) put32(put32(start + 2, link->token), ++link->send_counter);
#if CLASP_LINK_AUTH
  if (link->has_keys) {
    uint8_t digest[32];
    hmac(link->key_out, start, (uint16_t)(end - start), NULL, 0, NULL, 0, digest);
    memcpy(end, digest, MAC_BYTES);
    end += MAC_BYTES;
  }
#endif
  link->out_sent = (uint16_t)(start - link->out);
  link->out_length = (uint16_t)(end - link->out);
}
#endif

/* Puts the frame whose body ends here on the free line, with the newest acknowledgement. */
static void send_frame(clasp_link *link, uint8_t ctrl, uint8_t number, uint8_t *end) {
  uint8_t *frame = link->out + FRAME_AT;
  frame[0] = link->is_held ? ctrl | NOT_READY : ctrl;
  frame[1] = (uint8_t)(number << 4 | link->expected_r);
#if CLASP_LINK_DATAGRAM
  if (link->config->form != CLASP_SERIAL) encode_datagram(link, end);
  else
#endif
    encode_serial(link, end);
  link->timers[TO_SEND] = link->keepalive_ms;
  link->unacked = 0;
  flush(link);
}

static void send_control(clasp_link *link, uint8_t subtype, const uint8_t *body, uint8_t length) {
  memcpy(body_of(link), body, length);
  send_frame(link, CONTROL | subtype, 0, body_of(link) + length);
}

static void send_unreliable(clasp_link *link, uint8_t *end) {
  send_frame(link, UNRELIABLE, link->next_u, end);
  link->next_u = (link->next_u + 1) & 15;
}

/* Remembers an answer, with what is left of the body that asks for it, until the line is free. The newest wins: all of them are asked for again when they get lost. Only
 * an agreement about the speed must not be lost by a PING. */
static void answer(clasp_link *link, uint8_t subtype) {
  size_t length = (size_t)(link->end - link->at);
  if (link->control == (CONTROL | C_BAUD_OK)) return;
  if (length > sizeof link->control_body) length = sizeof link->control_body;
  link->control = CONTROL | subtype;
  link->control_length = (uint8_t)length;
  memcpy(link->control_body, link->at, length);
}

/* ---- The descriptor -------------------------------------------------------------------------------------------------- */

/* One record of the descriptor into the free `out`: for each signal, then the firmware's version. Returns its end; the
 * start itself: there are no more. */
static uint8_t *descriptor_record(clasp_link *link, uint16_t index) {
  uint8_t *p = link->out, *flags;
  clasp_signal signal;
  const clasp_slot *slot = slot_of(link, index);
  if (slot == NULL) {
    if (link->config->firmware == NULL || index != link->config->signal_count) return p;
    *p++ = OP_INFO << 4;
    *p++ = 1;
    return put_text(p, link->config->firmware, 24);
  }
  ROM_COPY(&signal, &link->config->signals[index], sizeof signal);
  *p++ = (uint8_t)(OP_DECLARE << 4 | slot->type);
  p = put_id(p, index);
  /* Flags on the wire: 07 kind, 08 publishes, 10 takes writes, 20 range, 40 unit. */
  flags = p++;
  *flags = slot->flags & (KIND | CLASP_OUT | CLASP_IN | CLASP_RANGE);
  p = put_text(p, signal.address, CLASP_LINK_ADDRESS - 1);
  if (slot->flags & CLASP_RANGE) p = put_float(put_float(p, signal.minimum), signal.maximum);
  if (signal.unit[0] == 0) return p;
  *flags |= 0x40;
  return put_text(p, signal.unit, CLASP_LINK_UNIT - 1);
}

static uint32_t descriptor_hash(clasp_link *link) {
  uint32_t crc = 0xFFFFFFFFu;
  uint16_t i = 0;
  uint8_t *end;
  while ((end = descriptor_record(link, i++)) != link->out) crc = crc32(crc, link->out, end);
  return ~crc;
}

/* ---- Bodies of frames that came --------------------------------------------------------------------------------------- */

/* `at` runs over the body of a frame and never past `end`; what would is 0, and `has_failed` tells. */
static const uint8_t *take(clasp_link *link, uint16_t count) {
  const uint8_t *p = link->at;
  if ((uint16_t)(link->end - p) < count) {
    link->has_failed = 1;
    link->at = link->end;
  } else {
    link->at += count;
  }
  return p;
}

static uint32_t take_number(clasp_link *link, uint8_t size) {
  const uint8_t *p = take(link, size);
  return link->has_failed ? 0 : get_number(p, size);
}

static SMALL uint8_t take8(clasp_link *link) { return (uint8_t)take_number(link, 1); }
static uint16_t take16(clasp_link *link) { return (uint16_t)take_number(link, 2); }
static uint32_t take32(clasp_link *link) { return take_number(link, 4); }

#if CLASP_LINK_64BIT || CLASP_LINK_TIME
static uint64_t take64(clasp_link *link) {
  uint32_t high = take32(link);
  return (uint64_t)high << 32 | take32(link);
}
#endif

static uint16_t take_id(clasp_link *link) {
  uint8_t first = take8(link);
  return first < 0x80 ? first : (uint16_t)((uint16_t)((first & 0x7F) << 8) | take8(link));
}

/* ---- Handshake ------------------------------------------------------------------------------------------------------- */

static void announce(clasp_link *link) {
  const clasp_config *config = link->config;
  uint8_t *p = body_of(link);
  *p++ = 1;
  *p++ = config->is_sleepy != 0;
  p = put_number(p, CLASP_LINK_MRU, 2);
  *p++ = CLASP_LINK_WINDOW;
  memcpy(p, config->uid, 8);
  p = put32(put32(put32(p + 8, link->nonce), link->hash), config->set_baud != NULL ? config->max_baud : 0);
  p = put_text(p, config->name, 18);
#if CLASP_LINK_DATAGRAM
  if (config->form != CLASP_SERIAL) {
    *p++ = 1;
    p = put_bytes(p, link->nonces, 8);
    if (link->cookie_length > 0) {
      *p++ = 2;
      p = put_bytes(p, link->cookie, link->cookie_length);
      *p++ = 3;
      p = put_bytes(p, link->nonces + 8, 8);
    }
  }
#endif
  send_frame(link, CONTROL | C_ANNOUNCE, 0, p);
  /* About a second, ± 20 %: many devices that started together spread out. */
  link->timers[TO_ANNOUNCE] = (uint16_t)(ANNOUNCE_MS * 4 / 5 + (random32(link) >> 24) + (random32(link) >> 25));
}

static void set_state(clasp_link *link, clasp_state state) {
  if (link->state == state) return;
  link->state = state;
  if (link->config->on_state != NULL) link->config->on_state(link->config->context, state);
}

/* Forgets what was between the router and us. */
static void start_over(clasp_link *link) {
  link->oldest_r = link->built = link->sent = link->again = link->next_u = link->expected_r = 0;
  link->retries = link->missed = link->gap = link->control = link->speed = link->event_count = 0;
  link->described = link->bundle_length = 0;
}

/* The session is over; `delay_ms` until the next ANNOUNCE. */
static void restart(clasp_link *link, uint16_t delay_ms) {
  start_over(link);
  link->timers[TO_ANNOUNCE] = delay_ms;
#if CLASP_LINK_DATAGRAM
  link->token = link->send_counter = 0;
  link->cookie_length = link->has_keys = 0;
  put32(link->nonces, random32(link) ^ link->now_us);
  put32(link->nonces + 4, random32(link) ^ link->now_us);
#endif
}

/* 0: the speed at start. */
static void use_speed(clasp_link *link, uint32_t baud) {
  uint32_t new_baud = baud != 0 ? baud : link->config->baud;
  if (link->line_baud == new_baud) return;
  link->line_baud = new_baud;
  /* What was on its way at the other speed is lost, and may have ended anywhere. */
  link->out_length = link->is_delimited = 0;
  if (link->config->set_baud != NULL) link->config->set_baud(link->config->context, baud);
}

/* A number as this type has it. */
static clasp_value value_of(uint8_t type, float number) {
  clasp_value value;
  memset(&value, 0, sizeof value);
  if (is_float(type)) value.f = number;
#if CLASP_LINK_64BIT
  else if (type == CLASP_F64) value.f64 = (double)number;
  else if (type == CLASP_I64) value.i64 = (int64_t)number;
#endif
  else if (number >= 2147483648.0f) value.i = INT32_MAX;
  else if (number > -2147483648.0f) value.i = (int32_t)number;
  else value.i = INT32_MIN;
  return value;
}

static void fall_back(clasp_link *link) {
  clasp_input input;
  clasp_slot *slot;
  uint16_t i;
  memset(&input, 0, sizeof input);
  input.why = CLASP_FELL_BACK;
  for (i = 0; (slot = slot_of(link, i)) != NULL; i++) {
    float safe;
    if ((slot->flags & (CLASP_SAFE | CLASP_IN)) != (CLASP_SAFE | CLASP_IN) || size_of(slot->type) > 8) continue;
    ROM_COPY(&safe, &link->config->signals[i].safe, sizeof safe);
    input.type = slot->type;
    input.value = slot->value = value_of(slot->type, safe);
    slot->marks |= KNOWN;
    if (link->config->on_input != NULL) link->config->on_input(link->config->context, i, &input);
  }
}

static void lose_link(clasp_link *link, uint16_t delay_ms) {
  uint8_t was_linked = link->state != CLASP_ANNOUNCING;
  use_speed(link, 0);
  restart(link, delay_ms);
  if (!was_linked) return;
  link->counters.lost_link++;
  set_state(link, CLASP_ANNOUNCING);
  fall_back(link);
}

static void welcome(clasp_link *link) {
  uint8_t version = take8(link), flags = take8(link), window;
  uint16_t session = take16(link), mru = take16(link), keepalive_ms, i;
  clasp_slot *slot;
  window = take8(link);
  keepalive_ms = take16(link);
  if (version != 1 || take32(link) != link->nonce || link->has_failed) return;
  /* Acknowledged at once, also when it comes again: the router repeats it until it hears us. */
  link->unacked = 1;
  link->timers[TO_ACK] = 0;
  if (link->state != CLASP_ANNOUNCING && link->session == session) return;
  start_over(link);
  link->session = session;
  link->room = (uint16_t)((mru < 64 ? 64 : mru > CLASP_LINK_MTU ? CLASP_LINK_MTU : mru) - 4);
  link->text_most = (uint8_t)(link->room > 128 ? 120 : link->room - 8);
  link->peer_window = window < 1 ? 1 : window > CLASP_LINK_WINDOW ? CLASP_LINK_WINDOW : window;
  link->keepalive_ms = link->timers[TO_MISS] = keepalive_ms < 200 ? 200 : keepalive_ms;
  link->timers[TO_GO_ON] = 0;
#if CLASP_LINK_TIME
  link->timers[TO_ASK_TIME] = link->time_requests = 0;
  link->time_rtt = INT16_MAX;
#endif
  for (i = 0; (slot = slot_of(link, i)) != NULL; i++) {
#if CLASP_LINK_SAMPLING
    slot->due_ms = 0;
#endif
    /* What others may write too: the router's value wins, if it has one. */
    if ((slot->flags & CLASP_OUT) && (slot->marks & KNOWN)) slot->marks = slot->flags & CLASP_IN ? KNOWN | DIRTY | OFFER : KNOWN | DIRTY;
  }
#if CLASP_LINK_SUBSCRIPTIONS
  for (i = 0; i < CLASP_LINK_SUBSCRIPTIONS; i++) link->subscriptions[i].is_told = 0;
#endif
  set_state(link, flags & 1 ? CLASP_RUNNING : CLASP_SYNCING);
}

/* ---- Reliability ----------------------------------------------------------------------------------------------------- */

/* At least the time of four of the largest frames; twice as long after each retry. */
static SMALL uint16_t retry_time(const clasp_link *link) {
  uint32_t ms = link->line_baud == 0 ? 0 : 40000UL * CLASP_LINK_MTU / link->line_baud;
  if (ms < RETRY_MS) ms = RETRY_MS;
  ms <<= link->retries > 4 ? 4 : link->retries;
  return ms > 0xFFFF ? 0xFFFF : (uint16_t)ms;
}

/* The router has everything in front of this number. */
static void acknowledged(clasp_link *link, uint8_t next) {
  uint8_t done = (next - link->oldest_r) & 15;
  if (done == 0 || done > link->built) return;
  link->oldest_r = next;
  link->built = (uint8_t)(link->built - done);
  /* An acknowledgement may overtake what is being sent again. */
  link->sent = link->sent > done ? (uint8_t)(link->sent - done) : 0;
  link->again = link->again > done ? (uint8_t)(link->again - done) : 0;
  link->retries = 0;
  link->timers[TO_RETRY] = retry_time(link);
}

/* Everything that is not acknowledged goes out again, in order. */
static void rewind_window(clasp_link *link) {
  if (link->again < link->sent) link->again = link->sent;
  link->sent = 0;
}

/* ---- Records in ------------------------------------------------------------------------------------------------------ */

static void take_value(clasp_link *link, uint8_t type, clasp_input *input) {
  uint8_t size = size_of(type);
  uint32_t n;
  memset(&input->value, 0, sizeof input->value);
  input->type = type;
  input->length = 0;
  input->bytes = NULL;
  if (size > 8) {
    input->length = take_id(link);
    input->bytes = take(link, input->length);
    if (size != 255) link->has_failed = 1;
    return;
  }
#if CLASP_LINK_64BIT
  if (size == 8) {
    uint64_t all = take64(link);
    memcpy(&input->value, &all, 8);
    return;
  }
#endif
  n = take_number(link, size);
  if (type == CLASP_UNIT8 || type == CLASP_UNIT16) {
    input->value.f = (float)n / most_of(type);
    return;
  }
  if (type >= T_FALSE) {
    input->type = CLASP_BOOL;
    n = type & 1;
  }
  if (type == CLASP_BOOL) n = n != 0;
  if (type == CLASP_I8) n = (uint32_t)(int8_t)n;
  if (type == CLASP_I16) n = (uint32_t)(int16_t)n;
  memcpy(&input->value, &n, sizeof n); /* as an integer, or as a float */
}

/* A value, event, … from the router. What is not writable comes only when it was asked for; then the device knows better.
 * Ids that were never declared are skipped. */
static void deliver(clasp_link *link, uint16_t id, const clasp_input *input) {
  if (id < HOST_SIGNALS) {
    clasp_slot *slot = slot_of(link, id);
    if (slot == NULL) return;
    if (!(slot->flags & CLASP_IN)) {
      if (input->why != CLASP_INITIAL) return;
    } else if (input->why != CLASP_HAPPENED && !(slot->flags & CLASP_EVENT)) {
      slot->marks &= (uint8_t)~(KNOWN | DIRTY | OFFER);
      /* A text is gone when the callback returns. */
      if (input->type == slot->type && input->bytes == NULL) {
        slot->value = input->value;
        slot->marks |= KNOWN;
      }
    }
  }
  if (link->config->on_input != NULL) link->config->on_input(link->config->context, id, input);
}

/* What is behind the first byte of each record: an id, this many bytes, a value. R_BAD: it does not come to devices. */
enum { R_BYTES = 0x0F, R_ID = 0x10, R_VALUE = 0x20, R_BAD = 0x80 };
static const uint8_t SHAPES[16] CLASP_ROM = {
    R_ID | R_VALUE,     /* VALUE */
    R_ID | 1 | R_VALUE, /* EXTENDED: flags; more by them */
    R_ID | R_VALUE,     /* EVENT */
    R_ID | R_VALUE,     /* STREAM */
    R_BAD,
    R_ID | 2 | R_VALUE, /* GESTURE: phase, number */
    0,                  /* TIME: below */
    R_ID | 2,           /* RESULT: code */
    R_ID | 2,           /* DECLARE: flags, length; address */
    R_BAD,
    R_BAD,
    R_BAD,
    2, /* CLASP: length; message */
    R_BAD,
    R_ID | 6, /* CONFIGURE: interval, deadband */
    0};       /* NOTHING */
/* TIME 0: when it was measured (µs), 1: when to do it (Unix µs), 2: a bundle, 3: a bundle at a time. */
static const uint8_t TIMES[4] CLASP_ROM = {4, 8, 0, 8};

/* 0: the records are not well-formed; those in front of the bad one counted. */
static uint8_t read_records(clasp_link *link) {
  const clasp_config *config = link->config;
  clasp_input input;
  memset(&input, 0, sizeof input);
  while (link->at < link->end) {
    uint8_t type = take8(link), op = type >> 4, shape = ROM_BYTE(&SHAPES[op]);
    const uint8_t *bytes, *text;
    uint16_t id = 0, length = 0;
    type &= 15;
    if (op == OP_TIME) shape = type > 3 ? (uint8_t)R_BAD : ROM_BYTE(&TIMES[type]);
    if (shape & R_ID) id = take_id(link);
    bytes = take(link, shape & R_BYTES);
    if (link->has_failed || (shape & R_BAD)) return 0;
    if (op == OP_EXTENDED) length = (uint16_t)((*bytes & X_REVISION ? 4 : 0) + (*bytes & X_TTL ? 4 : 0));
    if (op == OP_DECLARE) length = bytes[1];
    if (op == OP_CLASP) length = get16(bytes);
    text = take(link, length);
    if (shape & R_VALUE) take_value(link, type, &input);
    if (link->has_failed) return 0;
    if (shape & R_VALUE) {
      input.why = op >= OP_EVENT ? CLASP_HAPPENED : op == OP_EXTENDED && (*bytes & X_INITIAL) ? CLASP_INITIAL : CLASP_CHANGED;
      deliver(link, id, &input);
    }
    if (op == OP_RESULT && get16(bytes) != 0 && config->on_refused != NULL)
      config->on_refused(config->context, id, get16(bytes));
    if (op == OP_DECLARE && config->on_match != NULL)
      config->on_match(config->context, id, (const char *)text, (uint8_t)length);
#if CLASP_LINK_SAMPLING
    if (op == OP_CONFIGURE) {
      clasp_slot *slot = slot_of(link, id);
      if (slot == NULL) continue;
      slot->interval_ms = get16(bytes);
      slot->deadband = get_float(bytes + 2);
      slot->due_ms = 0;
    }
#endif
#if CLASP_LINK_TIME
    if (op == OP_TIME) input.at_us = type & 1 ? (int64_t)get64(bytes) : 0;
#endif
  }
  return 1;
}

/* ---- Time ------------------------------------------------------------------------------------------------------------ */

#if CLASP_LINK_TIME
/* What passed at the router meanwhile. In halves: small machines multiply 64 bits at great cost. */
static SMALL uint32_t passed_there(const clasp_link *link, uint32_t at_us) {
  int32_t passed = (int32_t)(at_us - link->time_at), rate = link->time_rate;
  int32_t more = (passed >> 16) * rate + ((int32_t)((uint32_t)passed & 0xFFFF) * rate >> 16);
  return (uint32_t)passed + (uint32_t)(more >> 6);
}

int64_t clasp_time(const clasp_link *link, uint32_t at_us) {
  return link->time_count == 0 ? 0 : link->time_us + (int32_t)passed_there(link, at_us);
}

/*
 * One exchange. The router stamps t2 when the last byte of the request is there and t3 when the first byte of the answer
 * leaves. The answer is 16 bytes longer: on a line that is as slow as it says, half of their time goes to the way back.
 * Only exchanges that took hardly longer than the best lately count; they steer phase and rate. A new best one is right.
 */
static void time_answer(clasp_link *link) {
  uint32_t now = link->now_us, passed = now - link->time_at, rtt = now - take32(link), ahead = 0;
  uint16_t coarse, least = link->time_rtt;
  int64_t t3;
  int32_t error;
  take(link, 4);
  rtt += take32(link);
  t3 = (int64_t)take64(link);
  rtt -= (uint32_t)t3;
  if (link->has_failed || rtt >> 4 > INT16_MAX) return;
  coarse = (uint16_t)(rtt >> 4);
  link->time_rtt = coarse < least ? coarse : (uint16_t)(least + 3);
  if (coarse > least + 19) return;
  if (link->line_baud != 0) ahead = 80000000u / link->line_baud;
  if (ahead > rtt >> 2) ahead = 0;
  ahead += rtt >> 1;
  /* Modulo 2^32: the upper half comes from t3 anyway. */
  error = (int32_t)((uint32_t)t3 + ahead - (uint32_t)link->time_us - passed_there(link, now));
  link->time_at = now;
  if (link->time_count == 0 || (uint32_t)(error + 100000) > 200000u) {
    error = 0; /* the first, or the router's clock was set */
  } else if (passed > 500000u) {
    /* Half of the difference, later a quarter, in 2^-22. */
    int32_t rate = link->time_rate + error * (link->time_count < 10 ? 1024 : 512) / (int32_t)(passed >> 11);
    if (rate == (int16_t)rate) link->time_rate = (int16_t)rate;
  }
  if (link->time_count < 10) link->time_count++;
  if (coarse >= least) ahead -= (uint32_t)(error / 2);
  link->time_us = t3 + (int32_t)ahead;
}

static void ask_time(clasp_link *link) {
  put32(body_of(link), link->now_us);
  send_frame(link, CONTROL | C_TIME_REQUEST, 0, body_of(link) + 4);
  if (link->time_requests < 16) link->time_requests++;
  link->timers[TO_ASK_TIME] = link->time_requests < 5 ? 100 : link->time_requests < 16 ? 1000 : 4000;
}
#endif

/* ---- Frames in ------------------------------------------------------------------------------------------------------- */

static void control_frame(clasp_link *link, uint8_t subtype) {
  uint8_t is_linked = link->state != CLASP_ANNOUNCING;
  if (subtype == C_WELCOME) {
    welcome(link);
  } else if (subtype == C_BYE) {
    uint8_t reason = take8(link);
    /* Refused, replaced or too old: asking again at once would only repeat it. */
    lose_link(link, reason >= 3 && reason <= 5 ? REFUSED_MS : ANNOUNCE_MS);
  } else if (subtype == C_PROBE) {
    if (is_linked) answer(link, C_ANNOUNCE);
    else link->timers[TO_ANNOUNCE] = 0;
  } else if (!is_linked) {
    return;
  } else if (subtype == C_NAK) {
    rewind_window(link);
  } else if (subtype == C_PING) {
    if (link->end - link->at > 4) link->end = link->at + 4;
    answer(link, C_PONG);
#if CLASP_LINK_TIME
  } else if (subtype == C_TIME) {
    time_answer(link);
#endif
  } else if (subtype == C_BAUD_REQUEST) {
    uint32_t baud = take32(link);
    if (link->config->set_baud == NULL || baud == 0 || baud > link->config->max_baud) return;
    link->at -= 4;
    answer(link, C_BAUD_OK);
    link->new_baud = baud;
    link->speed = SPEED_AGREED;
    link->timers[TO_SWITCH] = SWITCH_MS;
  } else if (subtype == C_BAUD_TEST) {
    if (link->speed == SPEED_TESTED) link->speed = SPEED_STEADY;
    answer(link, C_BAUD_TEST);
  }
}

/* A whole frame without its check: CTRL SEQ BODY. */
static SMALL void received(clasp_link *link, const uint8_t *frame, uint16_t length) {
  uint8_t kind = frame[0] & CLASS, subtype = frame[0] & SUBTYPE, number = frame[1] >> 4;
  if (link->is_asleep || kind == CLASS) return;
  if (kind != CONTROL && (subtype != 0 || link->state == CLASP_ANNOUNCING)) return;
  link->counters.frames++;
  link->missed = 0;
  link->timers[TO_MISS] = link->keepalive_ms;
  if (kind != CONTROL || subtype != C_WELCOME) {
    link->timers[TO_GO_ON] = frame[0] & NOT_READY ? HOLD_MS : 0;
    acknowledged(link, frame[1] & 15);
  }
  link->at = frame + 2;
  link->end = frame + length;
  link->has_failed = 0;
  if (kind == CONTROL) {
    control_frame(link, subtype);
    return;
  }
  if (kind == RELIABLE) {
    /* The first may wait for company before it is acknowledged; the second, or one that comes again, does not. */
    link->timers[TO_ACK] = 0;
    if (number != link->expected_r) {
      if (((link->expected_r - number) & 15) <= 8) link->unacked = 1;
      else if (link->gap == NO_GAP) link->gap = GAP_FOUND;
      return;
    }
    link->expected_r = (number + 1) & 15;
    link->gap = NO_GAP;
    if (!link->unacked) link->timers[TO_ACK] = ACK_DELAY_MS;
    link->unacked = 1;
  }
  if (!read_records(link)) link->counters.bad++;
}

static SMALL void serial_byte(clasp_link *link, uint8_t byte) {
  if (byte == 0) {
    uint16_t length = link->in_length;
    if (link->in_code != 0) {
      if (link->in_bad || link->in_left != 0 || length < 4 || crc16(link, link->in, length) != 0xF0B8) link->counters.bad++;
      else received(link, link->in, (uint16_t)(length - 2));
    }
    link->in_length = link->in_code = link->in_left = link->in_bad = 0;
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
/* Each counter counts once, and none that is 64 or more behind the newest. */
static uint8_t is_fresh(clasp_link *link, uint32_t counter) {
  uint32_t behind = link->seen_counter - counter;
  if (counter > link->seen_counter) {
    uint32_t ahead = counter - link->seen_counter;
    link->seen = ahead > 63 ? 1 : link->seen << ahead | 1;
    link->seen_counter = counter;
    return 1;
  }
  if (behind > 63 || (link->seen >> behind & 1)) return 0;
  link->seen |= (uint64_t)1 << behind;
  return 1;
}

/* 0: it does not count. See encode_datagram for its parts. */
static uint8_t received_datagram(clasp_link *link, uint16_t length) {
  const uint8_t *bytes = link->in, *frame;
  uint8_t is_short = link->config->form == CLASP_PACKETS, is_signed = bytes[1] & 1, subtype;
  uint16_t head = is_short ? PACKET_HEAD : DATAGRAM_HEAD;
  if (length < head + 2u + (is_signed ? 8u : 0u) || bytes[0] != 0x0C || (bytes[1] & 0xF2) != (is_short ? 0x12 : 0x10))
    return 0;
  frame = bytes + head;
  subtype = (frame[0] & CLASS) == CONTROL ? frame[0] & SUBTYPE : 0xFF;
  if (subtype == C_CHALLENGE) {
    length = (uint16_t)(length - head - 2);
    if (link->state != CLASP_ANNOUNCING || is_signed || length < 9 || length > 24) return 0;
    memcpy(link->nonces + 8, frame + 2, 8);
    link->cookie_length = (uint8_t)(length - 8);
    memcpy(link->cookie, frame + 10, link->cookie_length);
#if CLASP_LINK_AUTH
    if (link->config->key != NULL) make_keys(link);
#endif
    link->timers[TO_ANNOUNCE] = 0;
    return 1;
  }
#if CLASP_LINK_AUTH
  if (link->config->key != NULL) {
    uint8_t digest[32], difference = 0, i;
    if (!link->has_keys || !is_signed) return 0;
    length = (uint16_t)(length - MAC_BYTES);
    hmac(link->key_in, bytes, length, NULL, 0, NULL, 0, digest);
    for (i = 0; i < MAC_BYTES; i++) difference |= digest[i] ^ bytes[length + i];
    if (difference != 0) return 0;
  } else
#endif
    if (is_signed) return 0;
  if (!is_short) {
    uint32_t token = get_number(bytes + 2, 4), counter = get_number(bytes + 6, 4);
    uint8_t is_linked = link->state != CLASP_ANNOUNCING;
    if (subtype == C_WELCOME && (!is_linked || token != link->token)) {
      /* Another session. That it is meant for us is seen again when it is read. */
      if (length < head + 23u || get_number(frame + 11, 4) != link->nonce) return 0;
      link->token = token;
      link->seen_counter = counter;
      link->seen = 1;
    } else if (is_linked) {
      uint8_t is_late = counter < link->seen_counter;
      if (token != link->token || !is_fresh(link, counter)) return 0;
      /* What may be lost must not come late either: a newer value is already there. */
      if (is_late && (frame[0] & CLASS) == UNRELIABLE) return 1;
    }
  }
  received(link, frame, (uint16_t)(length - head));
  return 1;
}
#endif

static void read_line(clasp_link *link) {
  const clasp_config *config = link->config;
  uint8_t rounds;
  /* Bounded, so that a line that never pauses cannot keep the program from its work. */
#if CLASP_LINK_DATAGRAM
  if (config->form != CLASP_SERIAL) {
    for (rounds = 0; rounds < 8; rounds++) {
      size_t count = config->read(config->context, link->in, sizeof link->in);
      if (count == 0) return;
      if (count > sizeof link->in || !received_datagram(link, (uint16_t)count)) link->counters.bad++;
    }
    return;
  }
#endif
  for (rounds = 0; rounds < 16; rounds++) {
    uint8_t chunk[32], i;
    size_t count = config->read(config->context, chunk, sizeof chunk);
    if (count == 0) return;
    for (i = 0; i < count && i < sizeof chunk; i++) serial_byte(link, chunk[i]);
  }
}

/* ---- Records out ----------------------------------------------------------------------------------------------------- */

/* A value alone, of a type with a fixed size. */
static uint8_t *put_value(uint8_t *p, uint8_t type, const clasp_value *value) {
  uint32_t n;
#if CLASP_LINK_64BIT
  if (size_of(type) == 8) {
    uint64_t all;
    memcpy(&all, value, 8);
    return put64(p, all);
  }
#endif
  memcpy(&n, value, sizeof n);
  if (type == CLASP_UNIT8 || type == CLASP_UNIT16) {
    float part = value->f;
    n = !(part > 0) ? 0 : (uint32_t)((part < 1 ? part : 1) * most_of(type) + 0.5f);
  }
  if (type == CLASP_BOOL) n = n != 0;
  return put_number(p, n, size_of(type));
}

/* NULL: there is no room for it. */
static uint8_t *put_record(const clasp_link *link, uint8_t *p, const uint8_t *end, const clasp_record *record) {
  uint8_t type = record->type, size = size_of(type);
  if (type == CLASP_BOOL) type = record->value.i != 0 ? T_TRUE : T_FALSE;
  if (type == CLASP_STRING) {
    /* A text that fits into no frame is cut. */
    if (record->value.text == NULL) type = CLASP_NULL;
    else size = (uint8_t)(text_length(record->value.text, link->text_most) + 1);
  }
  /* Operation, id, and two more bytes at most. */
  if (end - p < size + 5) return NULL;
  *p++ = (uint8_t)(record->op << 4 | type);
  p = put_id(p, record->signal);
  if (record->op == OP_EXTENDED) *p++ = X_INITIAL;
  if (record->op == OP_GESTURE) {
    *p++ = record->phase;
    *p++ = record->gesture;
  }
  return type == CLASP_STRING ? put_text(p, record->value.text, link->text_most) : put_value(p, type, &record->value);
}

#if CLASP_LINK_SAMPLING
#define IS_DUE(slot) ((slot)->due_ms == 0)
#else
#define IS_DUE(slot) 1
#endif

/* New values of what may be lost, or of the rest, as many as fit; the search goes on where the last one ended, so that all
 * get their turn. */
static uint8_t *put_values(clasp_link *link, uint8_t *p, const uint8_t *end, uint8_t is_lossy) {
  uint16_t left;
  for (left = link->config->signal_count; left > 0; left--) {
    clasp_slot *slot = slot_of(link, link->turn);
    uint8_t kind, *next;
    clasp_record record;
    if (slot == NULL) {
      link->turn = 0;
      slot = link->slots;
    }
    kind = slot->flags & KIND;
    if ((slot->marks & DIRTY) && (kind == CLASP_STREAM || (slot->flags & CLASP_LOSSY)) == is_lossy && IS_DUE(slot)) {
      record.signal = link->turn;
      record.op = slot->marks & OFFER ? OP_EXTENDED : kind == CLASP_STREAM ? OP_STREAM : OP_VALUE;
      record.type = slot->type;
      record.value = slot->value;
      next = put_record(link, p, end, &record);
      if (next == NULL) break;
      p = next;
      slot->marks = KNOWN;
#if CLASP_LINK_SAMPLING
      slot->due_ms = slot->interval_ms;
#endif
    }
    link->turn++;
  }
  return p;
}

static uint8_t *put_events(clasp_link *link, uint8_t *p, const uint8_t *end) {
  while (link->event_count > 0) {
    uint8_t *next = put_record(link, p, end, link->events);
    if (next == NULL) break;
    p = next;
    link->event_count--;
    memmove(link->events, link->events + 1, link->event_count * sizeof link->events[0]);
  }
  return p;
}

#if CLASP_LINK_SUBSCRIPTIONS
static uint8_t *put_subscriptions(clasp_link *link, uint8_t *p, const uint8_t *end) {
  uint8_t i;
  for (i = 0; i < CLASP_LINK_SUBSCRIPTIONS; i++) {
    const char *pattern = link->subscriptions[i].pattern;
    if (link->subscriptions[i].is_told != (pattern == NULL)) continue;
    if (end - p < 5 + 40) break;
    link->subscriptions[i].is_told = pattern != NULL;
    *p++ = (uint8_t)(OP_SUBSCRIBE << 4 | (pattern == NULL));
    *p++ = i;
    if (pattern != NULL) p = put_number(put_text(p, pattern, 40), link->subscriptions[i].max_rate, 2);
  }
  return p;
}
#endif

static uint8_t *put_descriptor(clasp_link *link, uint8_t *p, const uint8_t *end) {
  for (;;) {
    ptrdiff_t length = descriptor_record(link, link->described) - link->out;
    if (length == 0) break;
    if (end - p < length) return p;
    memcpy(p, link->out, (size_t)length);
    p += length;
    link->described++;
  }
  if (end - p < 5) return p;
  link->described = DESCRIBED;
  *p++ = OP_DECLARED << 4;
  return put32(p, link->hash);
}

static uint8_t has_room_in_window(const clasp_link *link) { return link->built < link->peer_window; }

/* The next place of the window: room for the records of one frame. */
static SMALL uint8_t *place_of(clasp_link *link) { return link->window[(link->oldest_r + link->built) % CLASP_LINK_WINDOW]; }

static void close_reliable(clasp_link *link, uint16_t length) {
  link->window_length[(link->oldest_r + link->built++) % CLASP_LINK_WINDOW] = length;
}

static void build_reliable(clasp_link *link) {
  uint8_t *start, *p, *end;
  if (!has_room_in_window(link)) return;
  start = p = place_of(link);
  link->bundle_length = 0; /* one that was opened by a callback would have had it */
  end = start + link->room;
  if (link->state == CLASP_SYNCING) {
    if (link->described != DESCRIBED) p = put_descriptor(link, p, end);
  } else {
#if CLASP_LINK_SUBSCRIPTIONS
    p = put_subscriptions(link, p, end);
#endif
    p = put_events(link, p, end);
    p = put_values(link, p, end, 0);
  }
  if (p != start) close_reliable(link, (uint16_t)(p - start));
}

/* Sends the most urgent frame there is on the free line; 0: there is none. */
static uint8_t send_next(clasp_link *link) {
  uint8_t *body = body_of(link);
  if (link->control != 0) {
    uint8_t subtype = link->control & SUBTYPE;
    link->control = 0;
    if (subtype == C_ANNOUNCE) announce(link);
    else send_control(link, subtype, link->control_body, link->control_length);
    return 1;
  }
  if (link->speed != SPEED_STEADY) return 0;
  if (link->state == CLASP_ANNOUNCING) {
    if (link->is_asleep || link->timers[TO_ANNOUNCE] != 0) return 0;
    announce(link);
    return 1;
  }
  if (link->gap == GAP_FOUND) {
    link->gap = GAP_TOLD;
    send_control(link, C_NAK, body, 0);
    return 1;
  }
  if (link->sent == link->built) build_reliable(link);
  if (link->sent < link->built) {
    uint8_t number = (link->oldest_r + link->sent) & 15, place = number % CLASP_LINK_WINDOW, ctrl = RELIABLE;
    if (link->sent == 0) link->timers[TO_RETRY] = retry_time(link);
    if (link->sent++ < link->again) {
      ctrl = RELIABLE | AGAIN;
      link->counters.resent++;
    }
    memcpy(body, link->window[place], link->window_length[place]);
    send_frame(link, ctrl, number, body + link->window_length[place]);
    if (link->described == DESCRIBED) {
      link->described = 0;
      set_state(link, CLASP_RUNNING);
    }
    return 1;
  }
  if (link->state == CLASP_RUNNING && link->timers[TO_GO_ON] == 0) {
    uint8_t *end = put_values(link, body, body + link->room, 1);
    if (end != body) {
      send_unreliable(link, end);
      return 1;
    }
  }
#if CLASP_LINK_TIME
  if (link->timers[TO_ASK_TIME] == 0) {
    ask_time(link);
    return 1;
  }
#endif
  if ((link->unacked && link->timers[TO_ACK] == 0) || link->timers[TO_SEND] == 0) {
    send_control(link, C_ACK, body, 0);
    return 1;
  }
  return 0;
}

/* ---- What the program calls ------------------------------------------------------------------------------------------ */

clasp_result clasp_init(clasp_link *link, const clasp_config *config, uint32_t nonce, uint32_t now_us) {
  clasp_slot *slot;
  uint16_t i;
  memset(link, 0, sizeof *link);
  if (config->signal_count > CLASP_LINK_SIGNALS || config->write == NULL || config->read == NULL || config->uid == NULL ||
      config->name == NULL || (!CLASP_LINK_DATAGRAM && config->form != CLASP_SERIAL))
    return CLASP_INVALID;
  link->config = config;
  for (i = 0; (slot = slot_of(link, i)) != NULL; i++) {
    slot->type = ROM_BYTE(&config->signals[i].type);
    slot->flags = ROM_BYTE(&config->signals[i].flags);
    /* What cannot be sent, or is something else here. */
    if (size_of(slot->type) > (CLASP_LINK_64BIT ? 8 : 4) && slot->type != CLASP_STRING &&
        (slot->type != CLASP_BYTES || (slot->flags & CLASP_OUT)))
      return CLASP_INVALID;
#if CLASP_LINK_64BIT
    if (slot->type == CLASP_F64 && sizeof(double) != 8) return CLASP_INVALID;
#endif
  }
  link->now_us = now_us;
  link->nonce = link->random = nonce;
  link->line_baud = config->baud;
  link->keepalive_ms = ANNOUNCE_MS;
  link->hash = descriptor_hash(link);
  restart(link, (uint16_t)(random32(link) >> 26));
  return CLASP_OK;
}

static void count_down(uint16_t *left_ms, uint32_t ms) { *left_ms = *left_ms > ms ? (uint16_t)(*left_ms - ms) : 0; }

static void tick(clasp_link *link, uint32_t now_us) {
#if CLASP_LINK_SAMPLING
  clasp_slot *slot;
#endif
  uint32_t passed = now_us - link->now_us + link->us_rest;
  uint32_t ms = passed / 1000u;
  uint16_t i;
  link->us_rest = (uint16_t)(passed % 1000u);
  link->now_us = now_us;
  if (ms == 0) return;
  for (i = 0; i < sizeof link->timers / sizeof link->timers[0]; i++) count_down(&link->timers[i], ms);
#if CLASP_LINK_SAMPLING
  for (i = 0; (slot = slot_of(link, i)) != NULL; i++) count_down(&slot->due_ms, ms);
#endif
#if CLASP_LINK_TIME
  /* A local clock that wrapped since the last exchange would say nothing. */
  if ((now_us - link->time_at) >> 30 != 0) {
    link->time_us = clasp_time(link, now_us);
    link->time_at = now_us;
  }
#endif
}

void clasp_poll(clasp_link *link, uint32_t now_us) {
  uint8_t frames;
  tick(link, now_us);
  link->bundle_length = 0;
  if (!link->is_asleep) read_line(link);
  if (link->state != CLASP_ANNOUNCING && link->timers[TO_MISS] == 0) {
    link->timers[TO_MISS] = link->keepalive_ms;
    if (++link->missed >= MAX_MISSED) lose_link(link, 0);
  }
  if (!flush(link)) {
    /* The agreement must have left before the speed changes. */
    if (link->speed == SPEED_AGREED) link->timers[TO_SWITCH] = SWITCH_MS;
    return;
  }
  if (link->speed != SPEED_STEADY && link->control == 0 && link->timers[TO_SWITCH] == 0) {
    uint8_t was_agreed = link->speed == SPEED_AGREED;
    link->speed = was_agreed ? SPEED_TESTED : SPEED_STEADY;
    link->timers[TO_SWITCH] = SPEED_TEST_MS;
    use_speed(link, was_agreed ? link->new_baud : 0);
  }
  if (link->sent > 0 && link->timers[TO_RETRY] == 0) {
    if (link->retries++ >= MAX_RETRIES) lose_link(link, 0);
    else rewind_window(link);
  }
  for (frames = 0; frames < FRAMES_PER_POLL; frames++)
    if (!flush(link) || !send_next(link)) return;
}

/* How far apart two values are; of floats with any sign. */
#if CLASP_LINK_SAMPLING
static float distance(uint8_t type, const clasp_value *a, const clasp_value *b) {
  if (is_float(type)) return a->f - b->f;
#if CLASP_LINK_64BIT
  if (type == CLASP_F64) return (float)(a->f64 - b->f64);
  if (type == CLASP_I64) return (float)(a->i64 > b->i64 ? (uint64_t)a->i64 - (uint64_t)b->i64 : (uint64_t)b->i64 - (uint64_t)a->i64);
#endif
  return (float)(a->i > b->i ? (uint32_t)a->i - (uint32_t)b->i : (uint32_t)b->i - (uint32_t)a->i);
}
#endif

/* Whether the value needs not be sent: within the deadband, or the one that there is. */
static uint8_t is_same(const clasp_slot *slot, const clasp_value *value) {
  if (!(slot->marks & KNOWN) || slot->type == CLASP_STRING) return 0;
#if CLASP_LINK_SAMPLING
  if (slot->type != CLASP_BOOL) {
    float difference = distance(slot->type, value, &slot->value);
    if (difference < slot->deadband && -difference < slot->deadband) return 1;
  }
#endif
  if ((slot->flags & KIND) == CLASP_STREAM) return 0;
  /* By bits: a NaN is equal to itself, and the sign of zero tells. */
  return memcmp(&slot->value, value, size_of(slot->type) == 8 ? 8 : 4) == 0;
}

clasp_result clasp_set(clasp_link *link, uint16_t signal, clasp_value value) {
  clasp_slot *slot = slot_of(link, signal);
  if (slot == NULL || (slot->flags & (CLASP_OUT | CLASP_EVENT)) != CLASP_OUT) return CLASP_INVALID;
  if (is_same(slot, &value)) return CLASP_OK;
  slot->value = value;
  slot->marks |= KNOWN | DIRTY;
  slot->marks &= (uint8_t)~BUNDLED;
  if (link->state == CLASP_RUNNING) slot->marks &= (uint8_t)~OFFER;
  return CLASP_OK;
}

clasp_result clasp_set_int(clasp_link *link, uint16_t signal, int32_t value) {
  clasp_slot *slot = slot_of(link, signal);
  clasp_value v;
  memset(&v, 0, sizeof v);
  if (slot == NULL || size_of(slot->type) > 8) return CLASP_INVALID;
  if (is_float(slot->type)) v.f = (float)value;
#if CLASP_LINK_64BIT
  else if (slot->type == CLASP_F64) v.f64 = (double)value;
  else if (slot->type == CLASP_I64) v.i64 = value;
#endif
  else v.i = value;
  return clasp_set(link, signal, v);
}

clasp_result clasp_set_float(clasp_link *link, uint16_t signal, float value) {
  clasp_slot *slot = slot_of(link, signal);
  if (slot == NULL || size_of(slot->type) > 8) return CLASP_INVALID;
  return clasp_set(link, signal, value_of(slot->type, value));
}

clasp_result clasp_set_text(clasp_link *link, uint16_t signal, const char *text) {
  clasp_slot *slot = slot_of(link, signal);
  clasp_value v;
  memset(&v, 0, sizeof v);
  v.text = text;
  return slot == NULL || slot->type != CLASP_STRING ? CLASP_INVALID : clasp_set(link, signal, v);
}

/* Place for one more. */
static SMALL clasp_record *free_event(clasp_link *link) { return &link->events[link->event_count]; }

/* What goes out once, and in order; of signals with these flags. */
static clasp_result queue(clasp_link *link, uint16_t signal, uint8_t op, clasp_value value) {
  const clasp_slot *slot = slot_of(link, signal);
  uint8_t flags = op == OP_GET ? 0 : CLASP_OUT;
  clasp_record *record;
  if (slot == NULL || (slot->flags & flags) != flags) return CLASP_INVALID;
  if (link->state == CLASP_ANNOUNCING) return CLASP_OFFLINE;
  if (link->event_count >= CLASP_LINK_EVENTS) {
    link->counters.lost_events++;
    return CLASP_BUSY;
  }
  record = free_event(link);
  record->signal = signal;
  record->op = op;
  record->type = op == OP_GET ? (uint8_t)CLASP_NULL : slot->type;
  record->value = value;
  link->event_count++;
  return CLASP_OK;
}

clasp_result clasp_emit(clasp_link *link, uint16_t signal, clasp_value value) { return queue(link, signal, OP_EVENT, value); }

clasp_result clasp_gesture(clasp_link *link, uint16_t signal, uint8_t id, uint8_t phase, clasp_value value) {
  /* Written first, so that it is there when the rest is; without room nobody reads it. */
  clasp_record *record = free_event(link);
  if (link->event_count < CLASP_LINK_EVENTS) {
    record->phase = phase;
    record->gesture = id;
  }
  return queue(link, signal, OP_GESTURE, value);
}

clasp_result clasp_get(clasp_link *link, uint16_t signal) {
  clasp_value none;
  memset(&none, 0, sizeof none);
  return queue(link, signal, OP_GET, none);
}

/* Whether a frame can go out now that is not kept. */
static clasp_result may_send(clasp_link *link) {
  if (link->state != CLASP_RUNNING) return CLASP_OFFLINE;
  return link->speed == SPEED_STEADY && flush(link) ? CLASP_OK : CLASP_BUSY;
}

clasp_result clasp_stream(clasp_link *link, uint16_t signal, uint16_t interval, const clasp_value *samples, uint8_t count) {
  const clasp_slot *slot = slot_of(link, signal);
  clasp_result result;
  uint8_t *p = body_of(link), size;
  if (slot == NULL || (slot->flags & (CLASP_OUT | KIND)) != (CLASP_OUT | CLASP_STREAM)) return CLASP_INVALID;
  result = may_send(link);
  if (result != CLASP_OK) return result;
  size = size_of(slot->type);
  if (size == 0 || size > 8 || (uint16_t)(size * count) > (uint16_t)(link->room - 6)) return CLASP_INVALID;
  if (link->timers[TO_GO_ON] != 0) return CLASP_BUSY;
  *p++ = (uint8_t)(OP_BLOCK << 4 | slot->type);
  p = put_id(p, signal);
  *p++ = count;
  p = put_number(p, interval, 2);
  while (count-- > 0) p = put_value(p, slot->type, samples++);
  send_unreliable(link, p);
  return CLASP_OK;
}

clasp_result clasp_log(clasp_link *link, uint8_t level, const char *text) {
  clasp_result result = may_send(link);
  uint8_t *p = body_of(link), length;
  if (result != CLASP_OK) return result;
  length = text_length(text, (uint8_t)(link->room > 250 ? 250 : link->room - 1));
  *p++ = level;
  memcpy(p, text, length);
  send_frame(link, CONTROL | C_LOG, 0, p + length);
  return CLASP_OK;
}

#if CLASP_LINK_SUBSCRIPTIONS
clasp_result clasp_subscribe(clasp_link *link, uint8_t slot, const char *pattern, uint16_t max_rate) {
  if (slot >= CLASP_LINK_SUBSCRIPTIONS || (pattern != NULL && pattern[text_length(pattern, 40)] != 0)) return CLASP_INVALID;
  link->subscriptions[slot].pattern = pattern;
  link->subscriptions[slot].max_rate = max_rate;
  link->subscriptions[slot].is_told = pattern == NULL;
  return CLASP_OK;
}
#endif

#if CLASP_LINK_BUNDLES
/* Of what is in the bundle, takes these marks away. */
static void unmark(clasp_link *link, uint8_t marks) {
  clasp_slot *slot;
  uint16_t i;
  for (i = 0; (slot = slot_of(link, i)) != NULL; i++)
    if (slot->marks & BUNDLED) slot->marks &= (uint8_t)~marks;
}

clasp_result clasp_bundle_begin(clasp_link *link, int64_t at_us) {
  uint8_t *p;
  if (link->state != CLASP_RUNNING) return CLASP_OFFLINE;
  if (!has_room_in_window(link)) return CLASP_BUSY;
  /* What was in a bundle that was not sent goes out by itself. */
  unmark(link, BUNDLED);
  p = place_of(link);
  /* TIME 2: the records up to the end of the frame are one bundle; 3: at this time. */
  *p = OP_TIME << 4 | 2;
  link->bundle_length = 1;
  if (at_us != 0) {
    *p = OP_TIME << 4 | 3;
    put64(p + 1, (uint64_t)at_us);
    link->bundle_length = 9;
  }
  return CLASP_OK;
}

clasp_result clasp_bundle_add(clasp_link *link, uint16_t signal, clasp_value value) {
  clasp_slot *slot = slot_of(link, signal);
  clasp_record record;
  uint8_t *start = place_of(link), *end, kind;
  if (link->bundle_length == 0 || slot == NULL || !(slot->flags & CLASP_OUT)) return CLASP_INVALID;
  kind = slot->flags & KIND;
  if (kind > CLASP_STREAM) return CLASP_INVALID;
  record.signal = signal;
  record.op = kind == CLASP_EVENT ? OP_EVENT : kind == CLASP_STREAM ? OP_STREAM : OP_VALUE;
  record.type = slot->type;
  record.value = value;
  end = put_record(link, start + link->bundle_length, start + link->room, &record);
  if (end == NULL) return CLASP_BUSY;
  link->bundle_length = (uint16_t)(end - start);
  if (kind != CLASP_EVENT) {
    slot->value = value;
    slot->marks = KNOWN | DIRTY | BUNDLED;
  }
  return CLASP_OK;
}

clasp_result clasp_bundle_send(clasp_link *link) {
  if (link->bundle_length == 0) return CLASP_INVALID;
  close_reliable(link, link->bundle_length);
  link->bundle_length = 0;
  unmark(link, BUNDLED | DIRTY);
  return CLASP_OK;
}
#endif

#if CLASP_LINK_SAMPLING
uint16_t clasp_interval(const clasp_link *link, uint16_t signal) {
  return signal < link->config->signal_count ? link->slots[signal].interval_ms : 0;
}
#endif

void clasp_hold(clasp_link *link, uint8_t is_held) { link->is_held = is_held != 0; }

clasp_result clasp_sleep(clasp_link *link, uint16_t seconds) {
  if (!link->is_asleep) {
    clasp_result result = may_send(link);
    uint8_t *p = body_of(link);
    clasp_slot *slot;
    uint16_t i;
    if (result != CLASP_OK) return result;
    if (link->built > 0 || link->event_count > 0) return CLASP_BUSY;
    for (i = 0; (slot = slot_of(link, i)) != NULL; i++)
      if (slot->marks & DIRTY) return CLASP_BUSY;
    *p++ = BYE_SLEEP;
    send_frame(link, CONTROL | C_BYE, 0, put_number(p, seconds, 2));
    restart(link, 0);
    link->is_asleep = 1;
    set_state(link, CLASP_ANNOUNCING);
  }
  /* Not before the last byte is on the line. */
  return flush(link) ? CLASP_OK : CLASP_BUSY;
}

void clasp_wake(clasp_link *link, uint32_t now_us) {
  link->now_us = now_us;
  link->is_asleep = 0;
  link->timers[TO_ANNOUNCE] = 0;
#if CLASP_LINK_TIME
  link->time_count = 0; /* who knows what the clock did meanwhile */
#endif
}
