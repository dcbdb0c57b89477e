/*
 * Where a simulated node is connected: a pseudo-terminal that it makes, an existing serial port, or a UDP socket.
 */
#ifndef PORT_H
#define PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/socket.h>

#include "pace.h"

typedef struct port port;

/* One kind of port. Streams need only `open`, `close` and `set_baud`; their bytes are read from and written to `fd`. */
typedef struct {
  bool is_datagram;
  bool (*open)(port *p); /* false: it is not there; asked again later */
  void (*close)(port *p);
  void (*set_baud)(port *p, uint32_t baud); /* may be NULL */
} port_kind;

struct port {
  const port_kind *kind;
  char path[256];  /* of the symlink, or of the serial port */
  char host[128];  /* UDP */
  char service[8]; /* UDP */
  struct sockaddr_storage everybody; /* UDP to a broadcast address: where it sends until somebody answers */
  socklen_t everybody_size;          /* 0: `host` is one router */
  bool is_answered;
  uint64_t answered_at;
  char slave[64];  /* what the symlink points to */
  uint32_t base_baud, baud;
  uint32_t line_rate; /* paces as long as the speed is the one at start; 0: no pace */

  int fd; /* -1: not open */
  bool is_plugged;
  bool is_heard;      /* false: a pseudo-terminal that nobody has open */
  bool is_readable;   /* there may be something to read */
  bool is_full;       /* the descriptor took nothing more */
  uint64_t look_at;   /* when to look again for what is missing, ns */
  uint64_t now;       /* ns, of this round */
  bool has_moved;     /* bytes came or went since it was last asked */
  uint64_t bytes_in, bytes_out;
  pace in, out;
};

extern const port_kind pty_port, serial_port, udp_port;

/* As send and recv, for a router that is found by broadcast. */
ssize_t udp_send(port *p, const uint8_t *bytes, size_t count);
ssize_t udp_receive(port *p, uint8_t *bytes, size_t room);

/* The transport of the library: `context` is not used by it but given by the node. */
size_t port_write(port *p, const uint8_t *bytes, size_t count);
size_t port_read(port *p, uint8_t *bytes, size_t room);
void port_set_baud(port *p, uint32_t baud); /* 0: the one at start */

void port_start(port *p);
void port_plug(port *p);
void port_unplug(port *p);
/* Moves what is due and looks for what is missing. */
void port_service(port *p, uint64_t now);
/* Events of poll to wait for; 0: none, do not wait for the descriptor. */
short port_events(const port *p);
/* What poll told. */
void port_ready(port *p, short events);
/* When it wants to be serviced at the latest, ns. */
uint64_t port_due(const port *p);

/* 8N1 without any processing, at this speed; for terminals of both sides. Errno on -1. */
int make_raw(int fd, uint32_t baud);

#endif
