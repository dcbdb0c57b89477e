/*
 * An existing serial port, or a pseudo-terminal of somebody else.
 */
#define _GNU_SOURCE
#include "port.h"

#include <fcntl.h>
#include <unistd.h>

static bool open_serial(port *p) {
  p->fd = open(p->path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (p->fd < 0) return false;
  if (make_raw(p->fd, p->baud) == 0) return true;
  close(p->fd);
  return false;
}

static void close_serial(port *p) { close(p->fd); }

static void set_baud(port *p, uint32_t baud) { make_raw(p->fd, baud); }

const port_kind serial_port = {false, open_serial, close_serial, set_baud};
