/*
 * Simulated microcontrollers: the firmware library on a pseudo-terminal, a serial port or UDP.
 *
 *   simulated-node (--pty LINK | --port PATH | --udp HOST:PORT) [options]
 *
 *   --pty LINK         makes a pseudo-terminal with a symlink to it; with --count, LINK1, LINK2 …
 *   --port PATH        an existing serial port
 *   --udp HOST:PORT    datagrams; [HOST]:PORT for IPv6
 *   --key HEX          32 bytes: signs its datagrams
 *   --name NAME        default node; with --count, NAME1, NAME2 …
 *   --uid HEX          8 bytes, default made of the name; with --count, counted up
 *   --firmware TEXT    version that it tells; default simulated
 *   --baud N           speed at start; default: what --line-rate says, 115200 for --port, else none
 *   --max-baud N       it can switch up to this
 *   --line-rate N      both directions at so many bits a second, ten a byte, until the speed is switched
 *   --drift-ppm N      its clock runs so much too fast
 *   --count N          so many nodes
 *   --signals WHAT     board (default), bench:N or echo
 *   --signal SPEC      ADDRESS,TYPE,FLAG+FLAG…[,range=MIN:MAX][,safe=VALUE][,unit=TEXT]; as often as needed
 *   --rate R | max     of --signals bench: changes a second of each; default 10
 *   --lossy            of --signals bench: without acknowledgement
 *   --sleepy           tells that it sleeps at times
 *   --seed N           same numbers each time
 *   --quiet            only answers
 *   --stdin            ends when stdin does, and obeys it (else stdin is not read)
 *
 * Commands, one a line; "@2 " in front is for the second node only, without it for all:
 *
 *   set SIGNAL VALUE | emit SIGNAL [VALUE] | gesture SIGNAL ID PHASE [VALUE] | stream SIGNAL INTERVAL VALUE…
 *   bundle AT SIGNAL=VALUE…      AT: 0 now, +MS from now, or Unix µs
 *   get SIGNAL                   asks the router; the value comes as an input
 *   value SIGNAL                 what was set or received last
 *   sub SLOT PATTERN [RATE] | unsub SLOT | log LEVEL TEXT | hold 0 or 1
 *   sleep SECONDS | wake | mute | unmute | reset | unplug | plug
 *   stats | time
 *
 * A signal is named by its number or its address.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "command.h"
#include "options.h"

static volatile sig_atomic_t is_stopping;

static void stop(int signal_number) {
  (void)signal_number;
  is_stopping = 1;
}

typedef struct {
  char bytes[4096];
  size_t length;
} line_buffer;

/* Obeys the lines that have come; false: stdin has ended. */
static bool read_commands(line_buffer *b, node *nodes, uint32_t count) {
  ssize_t got = read(STDIN_FILENO, b->bytes + b->length, sizeof b->bytes - b->length);
  char *start = b->bytes, *end;
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (got <= 0) return false;
  b->length += (size_t)got;
  while ((end = memchr(start, '\n', b->length - (size_t)(start - b->bytes))) != NULL) {
    *end = 0;
    if (end > start && end[-1] == '\r') end[-1] = 0;
    obey(nodes, count, start);
    start = end + 1;
  }
  b->length -= (size_t)(start - b->bytes);
  memmove(b->bytes, start, b->length);
  /* No command is so long. */
  if (b->length == sizeof b->bytes) b->length = 0;
  return true;
}

static void run(node *nodes, uint32_t count, bool obeys_stdin, struct pollfd *fds, uint64_t *due) {
  line_buffer commands;
  commands.length = 0;
  fds[count].fd = obeys_stdin ? STDIN_FILENO : -1;
  fds[count].events = POLLIN;
  memset(due, 0, count * sizeof *due);
  while (!is_stopping) {
    uint64_t now = now_ns(), next = UINT64_MAX;
    struct timespec wait;
    sigset_t none;
    uint32_t i;
    for (i = 0; i < count; i++) {
      node *n = nodes + i;
      if (now >= due[i] || n->poll_at == 0) due[i] = node_run(n, now);
      if (due[i] < next) next = due[i];
      fds[i].events = n->is_mute ? 0 : port_events(&n->port);
      fds[i].fd = fds[i].events != 0 ? n->port.fd : -1;
    }
    fflush(stdout);
    now = now_ns();
    next = next > now ? next - now : 0;
    wait.tv_sec = (time_t)(next / 1000000000u);
    wait.tv_nsec = (long)(next % 1000000000u);
    sigemptyset(&none);
    if (ppoll(fds, count + 1, &wait, &none) <= 0) continue;
    for (i = 0; i < count; i++) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      port_ready(&nodes[i].port, fds[i].revents);
      due[i] = 0;
    }
    if (fds[count].fd >= 0 && fds[count].revents != 0 && !read_commands(&commands, nodes, count)) return;
  }
}

int main(int argc, char **argv) {
  options o;
  node *nodes;
  struct pollfd *fds;
  uint64_t *due;
  uint32_t i;
  sigset_t stopping;
  struct sigaction action;
  read_options(&o, argc, argv);
  nodes = calloc(o.count, sizeof *nodes);
  fds = calloc(o.count + 1u, sizeof *fds);
  due = calloc(o.count, sizeof *due);
  if (nodes == NULL || fds == NULL || due == NULL) {
    fputs("simulated-node: not enough memory\n", stderr);
    return 1;
  }
  /* Signals come only while it waits, so that none is missed. */
  sigemptyset(&stopping);
  sigaddset(&stopping, SIGINT);
  sigaddset(&stopping, SIGTERM);
  sigprocmask(SIG_BLOCK, &stopping, NULL);
  memset(&action, 0, sizeof action);
  action.sa_handler = stop;
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, NULL);
  prctl(PR_SET_TIMERSLACK, 1000);
  for (i = 0; i < o.count; i++) {
    set_up_node(&nodes[i], &o, i);
    node_start(&nodes[i]);
  }
  run(nodes, o.count, o.obeys_stdin, fds, due);
  for (i = 0; i < o.count; i++) node_stop(&nodes[i]);
  return 0;
}
