/*
 * A UDP socket of the node's own that is connected to the router. An address that ends in .255 is a broadcast: the first
 * router that answers is taken, and looked for again when it has been silent for long.
 */
#define _GNU_SOURCE
#include "port.h"

#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#define SILENT_NS 5000000000u

static bool is_broadcast(const struct sockaddr *address) {
  const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
  return address->sa_family == AF_INET && (ntohl(in->sin_addr.s_addr) & 0xFF) == 0xFF;
}

static bool open_udp(port *p) {
  struct addrinfo hints, *found, *one;
  int yes = 1;
  memset(&hints, 0, sizeof hints);
  hints.ai_socktype = SOCK_DGRAM;
  if (getaddrinfo(p->host, p->service, &hints, &found) != 0) return false;
  p->fd = -1;
  p->everybody_size = 0;
  p->is_answered = false;
  for (one = found; one != NULL && p->fd < 0; one = one->ai_next) {
    p->fd = socket(one->ai_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->fd < 0) continue;
    if (is_broadcast(one->ai_addr)) {
      setsockopt(p->fd, SOL_SOCKET, SO_BROADCAST, &yes, sizeof yes);
      memcpy(&p->everybody, one->ai_addr, one->ai_addrlen);
      p->everybody_size = one->ai_addrlen;
    } else if (connect(p->fd, one->ai_addr, one->ai_addrlen) != 0) {
      close(p->fd);
      p->fd = -1;
    }
  }
  freeaddrinfo(found);
  return p->fd >= 0;
}

static void close_udp(port *p) { close(p->fd); }

ssize_t udp_send(port *p, const uint8_t *bytes, size_t count) {
  if (p->is_answered && p->now - p->answered_at > SILENT_NS) {
    struct sockaddr nobody;
    memset(&nobody, 0, sizeof nobody);
    nobody.sa_family = AF_UNSPEC;
    connect(p->fd, &nobody, sizeof nobody);
    p->is_answered = false;
  }
  if (p->everybody_size == 0 || p->is_answered) return send(p->fd, bytes, count, MSG_NOSIGNAL);
  return sendto(p->fd, bytes, count, MSG_NOSIGNAL, (const struct sockaddr *)&p->everybody, p->everybody_size);
}

ssize_t udp_receive(port *p, uint8_t *bytes, size_t room) {
  struct sockaddr_storage from;
  socklen_t size = sizeof from;
  ssize_t got = recvfrom(p->fd, bytes, room, 0, (struct sockaddr *)&from, &size);
  if (got <= 0 || p->everybody_size == 0) return got;
  p->answered_at = p->now;
  if (!p->is_answered) p->is_answered = connect(p->fd, (const struct sockaddr *)&from, size) == 0;
  return got;
}

const port_kind udp_port = {true, open_udp, close_udp, NULL};
