/*
 * clasp_link: a microcontroller as a peer of a CLASP leaf router, over a serial line, UDP or Bluetooth LE.
 *
 * Leaf Link v1, device side. C99, also compiles as C++. No allocation, no recursion, no globals: everything is in the
 * `clasp_link` that the caller owns. The protocol is described in firmware-protocol/README.md.
 *
 *     static const clasp_signal SIGNALS[] CLASP_ROM = {
 *       {"temperature", CLASP_F32, CLASP_PARAM | CLASP_OUT | CLASP_RANGE, -40, 85, "C", 0},
 *       {"led", CLASP_BOOL, CLASP_PARAM | CLASP_IN | CLASP_SAFE, 0, 0, "", 0},
 *     };
 *     clasp_init(&link, &config, random, micros());
 *     for (;;) { clasp_poll(&link, micros()); clasp_set_float(&link, 0, read_sensor()); }
 *
 * MIT licence.
 */
#ifndef CLASP_LINK_H
#define CLASP_LINK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLASP_LINK_VERSION "1.0.0"

/* ---- Sizes. Define them before this header, the same for every file, or with -D. ------------------------------------- */

/* Signals that can be declared: 8 bytes of RAM each, 16 with CLASP_LINK_SAMPLING, 24 with CLASP_LINK_64BIT too. */
#ifndef CLASP_LINK_SIGNALS
#define CLASP_LINK_SIGNALS 16
#endif
/* Largest frame (CTRL … CRC) that is received: 64 … 1024. */
#ifndef CLASP_LINK_MRU
#define CLASP_LINK_MRU 64
#endif
/* Largest frame that is built: 64 … 1024. Each place of the window takes as much. */
#ifndef CLASP_LINK_MTU
#define CLASP_LINK_MTU 64
#endif
/* Frames under way that wait for an acknowledgement: 1, 2, 4 or 8. */
#ifndef CLASP_LINK_WINDOW
#define CLASP_LINK_WINDOW 2
#endif
/* Events that wait for the line. */
#ifndef CLASP_LINK_EVENTS
#define CLASP_LINK_EVENTS 4
#endif
/* Patterns that can be subscribed to besides the declared signals; 0 leaves the code out. */
#ifndef CLASP_LINK_SUBSCRIPTIONS
#define CLASP_LINK_SUBSCRIPTIONS 2
#endif
/* Characters of a signal's address and unit, with the final NUL. */
#ifndef CLASP_LINK_ADDRESS
#define CLASP_LINK_ADDRESS 24
#endif
#ifndef CLASP_LINK_UNIT
#define CLASP_LINK_UNIT 8
#endif
/* 1: the router can set the sampling interval and the deadband of each signal. */
#ifndef CLASP_LINK_SAMPLING
#define CLASP_LINK_SAMPLING 1
#endif
/* 1: bundles, i.e. several values that take effect together. */
#ifndef CLASP_LINK_BUNDLES
#define CLASP_LINK_BUNDLES 1
#endif
/* 1: the router's clock (clasp_time). */
#ifndef CLASP_LINK_TIME
#define CLASP_LINK_TIME 1
#endif
/* 1: signals of the types CLASP_I64 and CLASP_F64; a value then takes 8 bytes. */
#ifndef CLASP_LINK_64BIT
#define CLASP_LINK_64BIT 0
#endif
/* 1: the datagram form, for UDP and Bluetooth LE. Needs an MTU and MRU of 128 or more. */
#ifndef CLASP_LINK_DATAGRAM
#define CLASP_LINK_DATAGRAM 0
#endif
/* 1: datagrams are signed with HMAC-SHA256 where the configuration has a key. */
#ifndef CLASP_LINK_AUTH
#define CLASP_LINK_AUTH 0
#endif

/* Where constant tables go: flash on AVR, where constants would otherwise take RAM. */
#ifdef __AVR__
#include <avr/pgmspace.h>
#define CLASP_ROM PROGMEM
#else
#define CLASP_ROM
#endif

/* ---- Signals --------------------------------------------------------------------------------------------------------- */

/* How a value travels. The router converts what others write to the declared type, within its limits. */
enum {
  CLASP_NULL = 0x0,
  CLASP_BOOL = 0x1,
  CLASP_I8 = 0x2,
  CLASP_I16 = 0x3,
  CLASP_I32 = 0x4,
  CLASP_I64 = 0x5,
  CLASP_F32 = 0x6,
  CLASP_F64 = 0x7,
  CLASP_STRING = 0x8,
  CLASP_BYTES = 0x9, /* received only */
  CLASP_UNIT8 = 0xC, /* a float from 0 to 1 in one byte */
  CLASP_UNIT16 = 0xD /* a float from 0 to 1 in two bytes */
};

/* Flags of a signal. */
enum {
  CLASP_PARAM = 0x00,  /* has a value that is kept */
  CLASP_EVENT = 0x01,  /* happens */
  CLASP_STREAM = 0x02, /* flows; a value may be lost */
  CLASP_GESTURE = 0x03,
  CLASP_OUT = 0x08,   /* this device publishes it */
  CLASP_IN = 0x10,    /* this device takes writes to it */
  CLASP_RANGE = 0x20, /* minimum and maximum count */
  CLASP_SAFE = 0x40,  /* falls back to `safe` when the link dies; others keep their value */
  CLASP_LOSSY = 0x80  /* a param that is sent without acknowledgement: for what changes many times a second */
};

/* One signal. Tables of them are constant; on AVR they must be CLASP_ROM. */
typedef struct {
  char address[CLASP_LINK_ADDRESS]; /* "led": below the device's own prefix; "/stage/led": as it is */
  uint8_t type;                     /* CLASP_BOOL … */
  uint8_t flags;                    /* CLASP_PARAM | CLASP_OUT … */
  float minimum, maximum;           /* with CLASP_RANGE */
  char unit[CLASP_LINK_UNIT];       /* "" has none */
  float safe;                       /* with CLASP_SAFE; not for strings */
} clasp_signal;

/* The member follows from the signal's type: i for bool and integers, f for CLASP_F32 and the CLASP_UNITs. */
typedef union {
  int32_t i;
  float f;
  const char *text; /* CLASP_STRING that this device publishes: ends with NUL and stays where it is */
#if CLASP_LINK_64BIT
  int64_t i64;
  double f64;
#endif
} clasp_value;

/* A value that came from the router. */
typedef struct {
  uint8_t type;         /* CLASP_NULL … CLASP_BYTES */
  uint8_t why;          /* CLASP_CHANGED … */
  uint16_t length;      /* of bytes */
  clasp_value value;    /* for all but strings and bytes */
  const uint8_t *bytes; /* CLASP_STRING, CLASP_BYTES: not terminated, gone when the callback returns */
  int64_t at_us;        /* Unix time at which it is to take effect; 0: now */
} clasp_input;

enum {
  CLASP_CHANGED = 0,  /* somebody wrote it */
  CLASP_INITIAL = 1,  /* what the router holds, after connecting */
  CLASP_HAPPENED = 2, /* an event, stream or gesture */
  CLASP_FELL_BACK = 3 /* the link died: this is the safe value */
};

/* ---- The device ------------------------------------------------------------------------------------------------------ */

typedef enum {
  CLASP_OK = 0,
  CLASP_OFFLINE = -1, /* no link: try again when there is one */
  CLASP_BUSY = -2,    /* no room now: try again after the next clasp_poll */
  CLASP_INVALID = -3  /* no such signal, a type or a size that does not fit */
} clasp_result;

typedef enum { CLASP_ANNOUNCING = 0, CLASP_SYNCING = 1, CLASP_RUNNING = 2 } clasp_state;

typedef enum {
  CLASP_SERIAL = 0,   /* COBS frames with a CRC */
  CLASP_DATAGRAMS = 1, /* UDP: one datagram a frame (needs CLASP_LINK_DATAGRAM) */
  CLASP_PACKETS = 2   /* Bluetooth LE, TCP: the carrier knows its peer (needs CLASP_LINK_DATAGRAM) */
} clasp_form;

/* Must stay where it is as long as the link is used. Zero what is not needed. */
typedef struct {
  const char *name;            /* up to 18 bytes: the device's signals are below /dev/<name>/ */
  const char *firmware;        /* version, for the operator; may be NULL */
  const uint8_t *uid;          /* 8 bytes that no other device has, e.g. of the chip's serial number */
  const clasp_signal *signals; /* CLASP_ROM */
  uint16_t signal_count;       /* up to CLASP_LINK_SIGNALS */
  uint32_t baud;               /* at start; 0 where there is none (USB, UDP) */
  uint32_t max_baud;           /* that set_baud can do; 0: the speed never changes */
  uint8_t form;                /* clasp_form */
  uint8_t is_sleepy;           /* sleeps for minutes: the router keeps the session meanwhile */
  const uint8_t *key;          /* 32 bytes with CLASP_LINK_AUTH, or NULL */
  void *context;               /* given to every function below */

  /* The transport. Both return at once.
   * write: takes up to `count` bytes and returns how many it took; a datagram wholly or not at all (0).
   * read: puts up to `room` bytes, or one datagram, and returns how many; 0: nothing there. */
  size_t (*write)(void *context, const uint8_t *bytes, size_t count);
  size_t (*read)(void *context, uint8_t *bytes, size_t room);

  /* What the router tells. Each may be NULL. They may call clasp_set and clasp_emit, and must not call clasp_poll.
   * on_input: `signal` is an index of the table, or 16384 and above for what a subscription matched. */
  void (*on_input)(void *context, uint16_t signal, const clasp_input *input);
  void (*on_state)(void *context, clasp_state state);
  /* A subscription matched: `signal` stands for this address (`length` bytes, not terminated) from now on. */
  void (*on_match)(void *context, uint16_t signal, const char *address, uint8_t length);
  /* The router refused what was sent (code ≥ 100, a CLASP error code); see the list in the README. */
  void (*on_refused)(void *context, uint16_t signal, uint16_t code);
  /* Switches the line to this speed; 0: the one at start. What was written before has left by then. */
  void (*set_baud)(void *context, uint32_t baud);
} clasp_config;

/* Counters, for a display or a log. They wrap. */
typedef struct {
  uint16_t frames;    /* valid ones received */
  uint16_t bad;       /* received with a wrong CRC, code or length */
  uint16_t resent;    /* frames sent again */
  uint16_t lost_link; /* times that the link died */
  uint16_t lost_events; /* for which there was no room */
} clasp_counters;

/* What is kept of one signal; the library's own. */
typedef struct {
  clasp_value value;
#if CLASP_LINK_SAMPLING
  float deadband;
  uint16_t interval_ms, due_ms; /* due: until it may be sent again */
#endif
  uint8_t type, flags; /* as in the table, which is in slow memory on AVR */
  uint8_t marks;       /* has a value, has a new one, … */
} clasp_slot;

/* A record that goes out; the library's own. */
typedef struct {
  uint16_t signal;
  uint8_t op, type, phase, gesture;
  clasp_value value;
} clasp_record;

/* Fields are the library's own, except `state` and `counters`, which may be read. In the order of their size, arrays last:
 * a Cortex-M0 reaches the first 32 bytes, 16-bit numbers up to 64 and 32-bit ones up to 128 in one instruction, an AVR the
 * first 64 bytes. */
typedef struct {
  const clasp_config *config;
  clasp_state state;

  /* Sequence numbers count modulo 16. Of `built` frames in the window, the first `sent` are on the line now, and the first
   * `again` were there before. */
  uint8_t oldest_r, built, sent, again, next_u, expected_r;
  uint8_t peer_window, retries, missed, unacked, gap, is_held, is_asleep, speed;
  uint8_t control, control_length; /* an answer that waits for the line; 0: none */
  uint8_t event_count, text_most, is_delimited;
  uint8_t in_code, in_left, in_bad, has_failed;
#if CLASP_LINK_TIME
  uint8_t time_count, time_requests; /* exchanges that counted, requests since WELCOME */
  uint16_t time_rtt;                 /* of the best exchange lately, 16 µs */
  int16_t time_rate;                 /* correction, 2^-22 s/s */
#endif
  uint16_t timers[8]; /* ms that are left; 0: over */
  uint16_t out_length, out_sent, in_length;
  uint16_t keepalive_ms;
  uint16_t room;          /* for the records of a frame */
  uint16_t bundle_length; /* of the records of the open bundle; 0: none is open */
  uint16_t turn;          /* where the search for new values goes on */
  uint16_t described;     /* records of the descriptor that were sent */
  uint16_t session, us_rest;

  const uint8_t *at, *end; /* what is read */
  uint32_t now_us, nonce, random, hash, line_baud, new_baud;
#if CLASP_LINK_TIME
  uint32_t time_at; /* of the local clock, µs */
  int64_t time_us;  /* Unix time then */
#endif
  clasp_counters counters;
  uint8_t control_body[8];

#if CLASP_LINK_DATAGRAM
  uint32_t token, send_counter, seen_counter;
  uint64_t seen;
  uint8_t nonces[16]; /* ours, the router's */
  uint8_t cookie[16];
  uint8_t cookie_length, has_keys;
#if CLASP_LINK_AUTH
  uint8_t key_out[32], key_in[32];
#endif
#endif
#if CLASP_LINK_SUBSCRIPTIONS
  struct {
    const char *pattern;
    uint16_t max_rate;
    uint8_t is_told; /* the router knows of it */
  } subscriptions[CLASP_LINK_SUBSCRIPTIONS];
#endif
  clasp_slot slots[CLASP_LINK_SIGNALS];
  clasp_record events[CLASP_LINK_EVENTS];

  /* Room for what datagrams have around a frame. */
  uint8_t in[CLASP_LINK_MRU + (CLASP_LINK_DATAGRAM ? 16 : 0)];
  /* A frame is built behind room for its head, and encoded towards the start. */
  uint8_t out[CLASP_LINK_MTU + (CLASP_LINK_DATAGRAM ? 10 + 6 : 3 + CLASP_LINK_MTU / 254)];
  uint16_t window_length[CLASP_LINK_WINDOW];
  uint8_t window[CLASP_LINK_WINDOW][CLASP_LINK_MTU - 4];
} clasp_link;

/* Starts. `nonce` must differ at every boot: a hardware random number, or a counter in flash mixed with noise. */
clasp_result clasp_init(clasp_link *link, const clasp_config *config, uint32_t nonce, uint32_t now_us);

/* Reads, answers, sends what is due. Call it often: at least every millisecond on a fast line, and every 71 minutes at the
 * very least. `now_us` is a clock that wraps at 2^32. Takes the time of some 1000 instructions for a frame. */
void clasp_poll(clasp_link *link, uint32_t now_us);

/* New value of a param or stream that this device publishes. Nothing is sent when it did not change (for a stream: it is
 * always sent). The newest value wins while the line is busy. Any time, also without a link. */
clasp_result clasp_set_int(clasp_link *link, uint16_t signal, int32_t value); /* also for bool */
clasp_result clasp_set_float(clasp_link *link, uint16_t signal, float value);
clasp_result clasp_set_text(clasp_link *link, uint16_t signal, const char *text);
clasp_result clasp_set(clasp_link *link, uint16_t signal, clasp_value value);

/* An event: acknowledged, in order. `value` as the signal's type says; CLASP_NULL has none. CLASP_OFFLINE without a link:
 * an old event is worth nothing. */
clasp_result clasp_emit(clasp_link *link, uint16_t signal, clasp_value value);
/* A phase of a gesture: 0 start, 1 move, 2 end, 3 cancel. */
clasp_result clasp_gesture(clasp_link *link, uint16_t signal, uint8_t id, uint8_t phase, clasp_value value);
/* Samples of one stream, `interval` × 10 µs apart. Every one is sent, none is repeated. CLASP_BUSY while the line is. */
clasp_result clasp_stream(clasp_link *link, uint16_t signal, uint16_t interval, const clasp_value *samples, uint8_t count);

#if CLASP_LINK_SUBSCRIPTIONS
/* Values that are not among the device's signals. `slot` below CLASP_LINK_SUBSCRIPTIONS; `pattern` up to 40 bytes, stays
 * where it is, NULL ends it; at most `max_rate` updates a second of each address, 0: all. Renewed after every connect. */
clasp_result clasp_subscribe(clasp_link *link, uint8_t slot, const char *pattern, uint16_t max_rate);
#endif

/* Asks for the stored value of a signal; it comes as CLASP_INITIAL. */
clasp_result clasp_get(clasp_link *link, uint16_t signal);

#if CLASP_LINK_BUNDLES
/* Values that take effect together, now (at_us 0) or at a time of the router's clock: begin, add, …, send. One frame. */
clasp_result clasp_bundle_begin(clasp_link *link, int64_t at_us);
clasp_result clasp_bundle_add(clasp_link *link, uint16_t signal, clasp_value value);
clasp_result clasp_bundle_send(clasp_link *link);
#endif

#if CLASP_LINK_TIME
/* Unix time in µs of a moment of the local clock, by the router's clock; 0 when it is not known yet. */
int64_t clasp_time(const clasp_link *link, uint32_t at_us);
#endif

#if CLASP_LINK_SAMPLING
/* What the router asks for: how often to sample (ms; 0: the program's own choice). The deadband is applied by clasp_set. */
uint16_t clasp_interval(const clasp_link *link, uint16_t signal);
#endif

/* Tells the router to hold back what may be lost, or to go on. */
void clasp_hold(clasp_link *link, uint8_t is_held);
/* A line of text for the router's log. Level 0 debug … 3 error. */
clasp_result clasp_log(clasp_link *link, uint8_t level, const char *text);
/* Says that the device sleeps now, for about so many seconds; poll until it returns CLASP_OK. After that only clasp_wake. */
clasp_result clasp_sleep(clasp_link *link, uint16_t seconds);
void clasp_wake(clasp_link *link, uint32_t now_us);

#ifdef __cplusplus
}
#endif
#endif
