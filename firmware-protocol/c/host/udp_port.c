/*
 * A UDP socket of the node's own that is connected to the router.
 */
#define _GNU_SOURCE
#include "port.h"

#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool open_udp(port *p) {
  struct addrinfo hints, *found, *one;
  memset(&hints, 0, sizeof hints);
  hints.ai_socktype = SOCK_DGRAM;
  if (getaddrinfo(p->host, p->service, &hints, &found) != 0) return false;
  p->fd = -1;
  for (one = found; one != NULL && p->fd < 0; one = one->ai_next) {
    p->fd = socket(one->ai_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->fd < 0 || connect(p->fd, one->ai_addr, one->ai_addrlen) == 0) continue;
    close(p->fd);
    p->fd = -1;
  }
  freeaddrinfo(found);
  return p->fd >= 0;
}

static void close_udp(port *p) { close(p->fd); }

const port_kind udp_port = {true, open_udp, close_udp, NULL};
