#define _GNU_SOURCE
#include "port.h"

#include <asm/termbits.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOK_NS 10000000u
/* What a UART driver takes ahead: 64 bytes, or what leaves within this time if that is more. */
#define AHEAD_NS 2000000u
#define AHEAD_BYTES 64u

int make_raw(int fd, uint32_t baud) {
  struct termios2 t;
  if (ioctl(fd, TCGETS2, &t) < 0) return -1;
  t.c_iflag = 0;
  t.c_oflag = 0;
  t.c_lflag = 0;
  t.c_cflag = CS8 | CREAD | CLOCAL | BOTHER | (BOTHER << IBSHIFT);
  t.c_ispeed = t.c_ospeed = baud != 0 ? baud : 115200;
  t.c_cc[VMIN] = 1;
  t.c_cc[VTIME] = 0;
  return ioctl(fd, TCSETS2, &t);
}

static void use_line_rate(port *p) {
  uint32_t rate = p->line_rate == 0 ? 0 : p->baud == p->base_baud ? p->line_rate : p->baud;
  pace_start(&p->in, rate);
  pace_start(&p->out, rate);
}

static void lose(port *p) {
  if (p->fd < 0) return;
  p->kind->close(p);
  p->fd = -1;
  p->is_heard = p->is_readable = p->is_full = false;
}

static void find(port *p) {
  if (!p->is_plugged || p->fd >= 0) return;
  if (p->kind->open(p)) {
    p->is_readable = p->is_heard = true;
    use_line_rate(p);
  } else {
    p->fd = -1;
  }
}

/* Hands bytes to the descriptor; returns how many it took. What nobody hears is taken, too: it is lost on the line. */
static size_t send_now(port *p, const uint8_t *bytes, size_t count) {
  ssize_t sent;
  if (p->fd < 0 || !p->is_heard) return count;
  sent = !p->kind->is_datagram ? write(p->fd, bytes, count) : udp_send(p, bytes, count);
  if (sent >= 0) {
    p->bytes_out += (uint64_t)sent;
    return (size_t)sent;
  }
  if (errno == EAGAIN || errno == ENOBUFS) {
    p->is_full = true;
    return 0;
  }
  /* A datagram that was refused is a lost one; a line that breaks is found again later. */
  if (!p->kind->is_datagram && errno != EINTR) lose(p);
  return count;
}

static size_t receive_now(port *p, uint8_t *bytes, size_t room) {
  ssize_t count;
  if (p->fd < 0 || !p->is_readable) return 0;
  count = !p->kind->is_datagram ? read(p->fd, bytes, room) : udp_receive(p, bytes, room);
  if (count > 0) {
    p->bytes_in += (uint64_t)count;
    p->has_moved = true;
    return (size_t)count;
  }
  p->is_readable = false;
  if (p->kind->is_datagram || (count < 0 && (errno == EAGAIN || errno == EINTR))) return 0;
  if (p->kind == &pty_port) p->is_heard = false;
  else lose(p);
  return 0;
}

static void send_due(port *p) {
  const uint8_t *bytes;
  size_t count;
  while (!p->is_full && (count = pace_ready(&p->out, p->now, &bytes)) > 0) pace_drop(&p->out, send_now(p, bytes, count));
}

size_t port_write(port *p, const uint8_t *bytes, size_t count) {
  size_t taken;
  if (p->fd < 0) return count;
  if (p->out.byte_ns == 0) {
    taken = p->is_full ? 0 : send_now(p, bytes, count);
  } else {
    size_t ahead = (size_t)(AHEAD_NS / p->out.byte_ns);
    taken = pace_put(&p->out, bytes, count, ahead > AHEAD_BYTES ? ahead : AHEAD_BYTES, p->now);
  }
  if (taken > 0) p->has_moved = true;
  return taken;
}

size_t port_read(port *p, uint8_t *bytes, size_t room) {
  const uint8_t *ready;
  size_t count;
  if (p->in.byte_ns == 0) return receive_now(p, bytes, room);
  count = pace_ready(&p->in, p->now, &ready);
  if (count > room) count = room;
  memcpy(bytes, ready, count);
  pace_drop(&p->in, count);
  return count;
}

void port_set_baud(port *p, uint32_t baud) {
  p->baud = baud != 0 ? baud : p->base_baud;
  if (p->fd >= 0 && p->kind->set_baud != NULL) p->kind->set_baud(p, p->baud);
  use_line_rate(p);
}

void port_start(port *p) {
  p->fd = -1;
  p->baud = p->base_baud;
  p->is_plugged = true;
  find(p);
}

void port_plug(port *p) {
  p->is_plugged = true;
  find(p);
}

void port_unplug(port *p) {
  lose(p);
  p->is_plugged = false;
}

void port_service(port *p, uint64_t now) {
  p->now = now;
  if (now >= p->look_at) {
    p->look_at = now + LOOK_NS;
    find(p);
    if (p->kind == &pty_port && p->fd >= 0 && !p->is_heard) {
      struct pollfd one = {p->fd, POLLIN, 0};
      poll(&one, 1, 0);
      if (!(one.revents & POLLHUP)) p->is_heard = p->is_readable = true;
    }
  }
  if (p->in.byte_ns != 0 && p->is_readable) {
    uint8_t chunk[256];
    size_t room = PACE_BYTES - p->in.count, count;
    count = receive_now(p, chunk, room < sizeof chunk ? room : sizeof chunk);
    pace_put(&p->in, chunk, count, PACE_BYTES, now);
  }
  if (p->out.byte_ns != 0) send_due(p);
}

short port_events(const port *p) {
  short events = 0;
  if (p->fd < 0 || !p->is_heard) return 0;
  if (p->in.byte_ns == 0 || p->in.count < PACE_BYTES) events |= POLLIN;
  if (p->is_full) events |= POLLOUT;
  return events;
}

void port_ready(port *p, short events) {
  if (events & POLLOUT) p->is_full = false;
  if (events & POLLIN) p->is_readable = true;
  if (!(events & (POLLHUP | POLLERR | POLLNVAL)) || (events & POLLIN)) return;
  if (p->kind == &pty_port) p->is_heard = p->is_full = false;
  else if (p->kind->is_datagram) p->is_readable = true; /* collects the error */
  else lose(p);
}

uint64_t port_due(const port *p) {
  uint64_t due = UINT64_MAX, paced;
  if (p->is_plugged && (p->fd < 0 || !p->is_heard)) due = p->look_at;
  if (p->out.byte_ns != 0 && !p->is_full && (paced = pace_due(&p->out)) < due) due = paced;
  if (p->in.byte_ns != 0 && (paced = pace_due(&p->in)) < due) due = paced;
  return due;
}
