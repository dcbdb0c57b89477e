/*
 * A null-modem cable for tests: two pseudo-terminals with a symlink each, and a wire between them that is as slow as a
 * UART and as bad as it is told to be. Linux.
 *
 *   line --a PATH --b PATH [--baud N | --baud follow] [--seed N]
 *
 * Commands are lines on stdin; each is answered by one line of JSON on stdout, {"ok":true} or {"error":"…"}:
 *
 *   faults a->b flip=1e-4 drop=1e-5 dup=0 insert=0   chances per byte; what is not named becomes 0
 *   baud N | follow     10 bits a byte; 0 = as fast as the machine; follow = what the sending end has set, and an end
 *                       that is set to another rate hears garbage
 *   unplug a, plug a    the terminal and its symlink go away and come back
 *   stats               {"a->b":{"carried":…,…},"b->a":{…},"a":{"isOpen":…,"baud":…},"b":{…}}
 *
 * As on a real port, bytes for an end that nobody has open are lost. An end that is open but not read stops the wire.
 * Which bytes suffer depends on the seed and on how many bytes went the same way before, never on time.
 * Ends, and removes the symlinks, when stdin closes or at SIGINT or SIGTERM.
 */
#define _GNU_SOURCE
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define RING_BYTES 8192u
/* Like the FIFO of a UART: what is on the wire already cannot be taken back. */
#define AHEAD_NS 2000000u
/* Bytes that fall due within this time are handed over together, at the time of the last. */
#define GRAIN_NS 250000u
/* How soon an end that somebody opened is noticed, while nothing is sent to it. */
#define REOPEN_CHECK_NS 5000000u
#define NEVER UINT64_MAX
#define FOLLOW UINT32_MAX
#define COMMAND_BYTES 512u

struct end {
  const char *path;
  int master;   /* -1: unplugged */
  bool is_open; /* somebody has the terminal open */
};

struct faults {
  double flip, drop, dup, insert;
};

struct way {
  const char *name;
  struct end *from, *to;
  struct faults faults;
  uint64_t random;
  uint64_t free_at; /* when the last byte on the wire has arrived, ns */
  uint8_t bytes[RING_BYTES];
  uint64_t due[RING_BYTES];
  uint32_t head, count;
  bool is_blocked; /* the receiving terminal is full */
  uint64_t carried, delivered, unheard, garbled, flipped, dropped, duplicated, inserted;
};

static struct end ends[2];
static struct way ways[2];
static uint32_t baud;
static volatile sig_atomic_t is_stopping;

static void stop(int signal_number) {
  (void)signal_number;
  is_stopping = 1;
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* splitmix64 */
static uint64_t draw(struct way *way) {
  uint64_t x = way->random += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

static bool happens(struct way *way, double chance) {
  return chance > 0 && (double)(draw(way) >> 11) * 0x1p-53 < chance;
}

/* Returns 0, or -1 with errno. */
static int plug(struct end *end) {
  char temporary[4096];
  int slave, master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  struct termios2 raw;
  const char *name;
  if (master < 0) return -1;
  if (grantpt(master) < 0 || unlockpt(master) < 0 || (name = ptsname(master)) == NULL) goto failed;
  if (ioctl(master, TCGETS2, &raw) < 0) goto failed;
  raw.c_iflag = 0;
  raw.c_oflag = 0;
  raw.c_lflag = 0;
  raw.c_cflag = (raw.c_cflag & ~(tcflag_t)(CBAUD | CSIZE | PARENB)) | B115200 | CS8 | CREAD | CLOCAL;
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  if (ioctl(master, TCSETS2, &raw) < 0) goto failed;
  /* Until the terminal was open once, the master cannot tell that it is closed. */
  slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) goto failed;
  close(slave);
  if (snprintf(temporary, sizeof temporary, "%s.%ld", end->path, (long)getpid()) >= (int)sizeof temporary) {
    errno = ENAMETOOLONG;
    goto failed;
  }
  if (symlink(name, temporary) < 0) goto failed;
  if (rename(temporary, end->path) < 0) {
    unlink(temporary);
    goto failed;
  }
  end->master = master;
  end->is_open = false;
  return 0;
failed:
  close(master);
  return -1;
}

static void unplug(struct end *end) {
  if (end->master < 0) return;
  unlink(end->path);
  close(end->master);
  end->master = -1;
  end->is_open = false;
}

/*
 * Whether somebody has the terminal open. That it was closed is only known when everything was read that had been
 * written before.
 */
static bool check_open(struct end *end) {
  struct pollfd p = {.fd = end->master, .events = 0, .revents = 0};
  if (end->master < 0) return false;
  if (!end->is_open) end->is_open = poll(&p, 1, 0) == 0;
  return end->is_open;
}

static uint32_t rate_of(const struct end *end) {
  struct termios2 settings;
  if (end->master < 0 || ioctl(end->master, TCGETS2, &settings) < 0) return 0;
  return settings.c_ospeed;
}

static uint64_t byte_ns(const struct way *way) {
  uint32_t rate = baud == FOLLOW ? rate_of(way->from) : baud;
  return rate == 0 ? 0 : 10000000000u / rate;
}

/* A UART tolerates about 3 %. */
static bool rates_differ(const struct way *way) {
  int64_t from = rate_of(way->from), to = rate_of(way->to);
  int64_t difference = from > to ? from - to : to - from;
  return baud == FOLLOW && difference * 100 > from * 3;
}

static void put(struct way *way, uint8_t byte, uint64_t due) {
  uint32_t at = (way->head + way->count) % RING_BYTES;
  way->bytes[at] = byte;
  way->due[at] = due;
  way->count++;
}

static bool wants_bytes(const struct way *way, uint64_t now) {
  return way->count < RING_BYTES / 4 && way->free_at <= now + AHEAD_NS - GRAIN_NS;
}

/* Puts onto the wire what the sending end has written, as far as the rate allows. */
static void take(struct way *way, uint64_t now) {
  uint8_t chunk[RING_BYTES / 4];
  uint64_t each, quota = sizeof chunk;
  bool is_garbled;
  ssize_t got;
  if (!check_open(way->from) || !wants_bytes(way, now)) return;
  each = byte_ns(way);
  if (way->free_at < now) way->free_at = now;
  if (each > 0) {
    quota = (now + AHEAD_NS - way->free_at) / each;
    if (quota < 1) quota = 1;
    if (quota > sizeof chunk) quota = sizeof chunk;
  }
  got = read(way->from->master, chunk, quota);
  if (got < 0 && errno == EIO) way->from->is_open = false;
  if (got <= 0) return;
  is_garbled = rates_differ(way);
  for (ssize_t i = 0; i < got; i++) {
    uint8_t byte = chunk[i];
    way->carried++;
    if (is_garbled) {
      byte = (uint8_t)draw(way);
      way->garbled++;
    }
    if (happens(way, way->faults.insert)) {
      put(way, (uint8_t)draw(way), way->free_at += each);
      way->inserted++;
    }
    way->free_at += each;
    if (happens(way, way->faults.drop)) {
      way->dropped++;
      continue;
    }
    if (happens(way, way->faults.flip)) {
      byte ^= (uint8_t)(1u << (draw(way) & 7));
      way->flipped++;
    }
    put(way, byte, way->free_at);
    if (happens(way, way->faults.dup)) {
      put(way, byte, way->free_at += each);
      way->duplicated++;
    }
  }
}

/* Hands the bytes that have arrived to the receiving end. */
static void deliver(struct way *way, uint64_t now) {
  way->is_blocked = false;
  while (way->count > 0 && way->due[way->head] <= now) {
    uint32_t run = 1;
    ssize_t put_bytes;
    while (run < way->count && way->head + run < RING_BYTES && way->due[way->head + run] <= now) run++;
    if (check_open(way->to)) {
      put_bytes = write(way->to->master, way->bytes + way->head, run);
      if (put_bytes <= 0) {
        way->is_blocked = true;
        return;
      }
      way->delivered += (uint64_t)put_bytes;
    } else {
      put_bytes = run;
      way->unheard += run;
    }
    way->head = (way->head + (uint32_t)put_bytes) % RING_BYTES;
    way->count -= (uint32_t)put_bytes;
  }
}

/* When there is something to do without anything happening. */
static uint64_t next_time(const struct way *way, uint64_t now) {
  uint64_t next = NEVER;
  if (way->count > 0 && !way->is_blocked) {
    uint64_t first = way->due[way->head];
    uint64_t last = way->due[(way->head + way->count - 1) % RING_BYTES];
    next = last <= now + GRAIN_NS ? last : first > now + GRAIN_NS ? first : now + GRAIN_NS;
  }
  if (way->from->is_open && way->count < RING_BYTES / 4 && !wants_bytes(way, now)) {
    uint64_t room = way->free_at - (AHEAD_NS - GRAIN_NS);
    if (room < next) next = room;
  }
  if (way->from->master >= 0 && !way->from->is_open && now + REOPEN_CHECK_NS < next) next = now + REOPEN_CHECK_NS;
  return next;
}

static void print_way(const struct way *way) {
  printf("\"%s\":{\"carried\":%llu,\"delivered\":%llu,\"unheard\":%llu,\"garbled\":%llu,\"flipped\":%llu,"
         "\"dropped\":%llu,\"duplicated\":%llu,\"inserted\":%llu,\"onWire\":%lu}",
         way->name, (unsigned long long)way->carried, (unsigned long long)way->delivered,
         (unsigned long long)way->unheard, (unsigned long long)way->garbled, (unsigned long long)way->flipped,
         (unsigned long long)way->dropped, (unsigned long long)way->duplicated, (unsigned long long)way->inserted,
         (unsigned long)way->count);
}

static void print_end(const char *name, struct end *end) {
  const char *is_open = check_open(end) ? "true" : "false";
  printf("\"%s\":{\"isOpen\":%s,\"baud\":%lu}", name, is_open, (unsigned long)rate_of(end));
}

/* Returns whether the text is a rate. */
static bool set_baud(const char *text) {
  char *rest;
  unsigned long rate = strtoul(text, &rest, 10);
  if (strcmp(text, "follow") == 0) {
    baud = FOLLOW;
    return true;
  }
  if (rest == text || *rest != '\0' || rate > 100000000u) return false;
  baud = (uint32_t)rate;
  return true;
}

/* `words` is what follows the name of the way. Returns NULL, or what is wrong. */
static const char *set_faults(struct way *way, char *words) {
  struct faults faults = {0, 0, 0, 0};
  for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " ")) {
    char *value = strchr(word, '='), *rest;
    double chance;
    if (value == NULL) return "a fault is kind=chance";
    *value++ = '\0';
    chance = strtod(value, &rest);
    if (rest == value || *rest != '\0' || !(chance >= 0 && chance <= 1)) return "a chance is a number from 0 to 1";
    if (strcmp(word, "flip") == 0) faults.flip = chance;
    else if (strcmp(word, "drop") == 0) faults.drop = chance;
    else if (strcmp(word, "dup") == 0) faults.dup = chance;
    else if (strcmp(word, "insert") == 0) faults.insert = chance;
    else return "faults are flip, drop, dup and insert";
  }
  way->faults = faults;
  return NULL;
}

static struct end *end_named(const char *name) {
  if (strcmp(name, "a") == 0) return &ends[0];
  if (strcmp(name, "b") == 0) return &ends[1];
  return NULL;
}

/* Returns NULL, or what is wrong. */
static const char *obey(char *line) {
  char *rest = strchr(line, ' ');
  struct end *end;
  if (rest == NULL) rest = line + strlen(line);
  else *rest++ = '\0';
  if (strcmp(line, "stats") == 0) return NULL;
  if (strcmp(line, "baud") == 0) return set_baud(rest) ? NULL : "a baud rate is a number or follow";
  if (strcmp(line, "faults") == 0) {
    for (int i = 0; i < 2; i++) {
      size_t length = strlen(ways[i].name);
      if (strncmp(rest, ways[i].name, length) == 0) return set_faults(&ways[i], rest + length);
    }
    return "a direction is a->b or b->a";
  }
  if ((end = end_named(rest)) == NULL) return "an end is a or b";
  if (strcmp(line, "unplug") == 0) {
    unplug(end);
    return NULL;
  }
  if (strcmp(line, "plug") == 0) return end->master >= 0 || plug(end) == 0 ? NULL : strerror(errno);
  return "commands are faults, baud, unplug, plug and stats";
}

static void answer(char *line) {
  bool is_stats = strcmp(line, "stats") == 0;
  const char *error = obey(line);
  if (error != NULL) printf("{\"error\":\"%s\"}\n", error);
  else if (is_stats) {
    printf("{");
    print_way(&ways[0]);
    printf(",");
    print_way(&ways[1]);
    printf(",");
    print_end("a", &ends[0]);
    printf(",");
    print_end("b", &ends[1]);
    printf("}\n");
  } else printf("{\"ok\":true}\n");
  fflush(stdout);
}

/* Returns false when stdin has ended. */
static bool read_commands(void) {
  static char buffer[COMMAND_BYTES];
  static size_t length;
  ssize_t got = read(STDIN_FILENO, buffer + length, sizeof buffer - length);
  char *line = buffer, *end;
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  if (got <= 0) return false;
  length += (size_t)got;
  while ((end = memchr(line, '\n', length - (size_t)(line - buffer))) != NULL) {
    *end = '\0';
    answer(line);
    line = end + 1;
  }
  length -= (size_t)(line - buffer);
  memmove(buffer, line, length);
  return length < sizeof buffer;
}

static void run(const sigset_t *while_waiting) {
  for (;;) {
    uint64_t now = now_ns(), next = NEVER;
    struct pollfd polled[3] = {{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0}};
    struct timespec wait;
    if (is_stopping) return;
    for (int i = 0; i < 2; i++) {
      take(&ways[i], now);
      deliver(&ways[i], now);
    }
    for (int i = 0; i < 2; i++) {
      struct end *end = &ends[i];
      const struct way *out = &ways[i], *in = &ways[1 - i];
      uint64_t time = next_time(out, now);
      short events = (short)((wants_bytes(out, now) ? POLLIN : 0) | (in->is_blocked ? POLLOUT : 0));
      if (time < next) next = time;
      /* A closed terminal reports that all the time, so it is not asked for unless there is something to do. */
      polled[i + 1] = (struct pollfd){.fd = end->is_open && events != 0 ? end->master : -1, .events = events, .revents = 0};
    }
    next = next == NEVER ? 0 : next > now ? next - now : 1;
    wait.tv_sec = (time_t)(next / 1000000000u);
    wait.tv_nsec = (long)(next % 1000000000u);
    if (ppoll(polled, 3, next == 0 ? NULL : &wait, while_waiting) < 0 && errno != EINTR) return;
    if (polled[0].revents != 0 && !read_commands()) return;
  }
}

int main(int count, char **words) {
  uint64_t seed = 1;
  struct sigaction action = {.sa_handler = stop};
  sigset_t stopping, before;
  for (int i = 1; i < count; i += 2) {
    const char *value = i + 1 < count ? words[i + 1] : "";
    if (strcmp(words[i], "--a") == 0) ends[0].path = value;
    else if (strcmp(words[i], "--b") == 0) ends[1].path = value;
    else if (strcmp(words[i], "--seed") == 0) seed = strtoull(value, NULL, 10);
    else if (strcmp(words[i], "--baud") != 0 || !set_baud(value)) ends[0].path = NULL, count = 0;
  }
  if (ends[0].path == NULL || ends[1].path == NULL) {
    fprintf(stderr, "usage: line --a PATH --b PATH [--baud N|follow] [--seed N]\n");
    return 2;
  }
  sigemptyset(&stopping);
  sigaddset(&stopping, SIGINT);
  sigaddset(&stopping, SIGTERM);
  sigprocmask(SIG_BLOCK, &stopping, &before);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_TIMERSLACK, 1000ul, 0ul, 0ul, 0ul);
  for (int i = 0; i < 2; i++) {
    ends[i].master = -1;
    ways[i].name = i == 0 ? "a->b" : "b->a";
    ways[i].from = &ends[i];
    ways[i].to = &ends[1 - i];
    ways[i].random = seed * 2 + (uint64_t)i;
  }
  for (int i = 0; i < 2; i++) {
    if (plug(&ends[i]) < 0) {
      fprintf(stderr, "line: %s: %s\n", ends[i].path, strerror(errno));
      unplug(&ends[0]);
      return 1;
    }
  }
  printf("{\"ok\":true}\n");
  fflush(stdout);
  run(&before);
  unplug(&ends[0]);
  unplug(&ends[1]);
  return 0;
}
