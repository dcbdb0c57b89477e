/*
 * A pseudo-terminal of the node's own, with a symlink to its slave: what a USB adapter looks like to the other side.
 */
#define _GNU_SOURCE
#include "port.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Puts the symlink in place in one step, also where one was left behind. */
static bool show(const port *p) {
  char temporary[sizeof p->path + 24];
  snprintf(temporary, sizeof temporary, "%s.%ld", p->path, (long)getpid());
  unlink(temporary);
  if (symlink(p->slave, temporary) < 0) return false;
  if (rename(temporary, p->path) == 0) return true;
  unlink(temporary);
  return false;
}

static bool open_pty(port *p) {
  int slave;
  p->fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (p->fd < 0) return false;
  if (grantpt(p->fd) < 0 || unlockpt(p->fd) < 0 || ptsname_r(p->fd, p->slave, sizeof p->slave) != 0) goto failed;
  /* Until the slave was open once, the master cannot tell that nobody has it open. */
  slave = open(p->slave, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) goto failed;
  if (make_raw(slave, p->baud) < 0) {
    close(slave);
    goto failed;
  }
  close(slave);
  if (!show(p)) goto failed;
  return true;
failed:
  close(p->fd);
  return false;
}

static void close_pty(port *p) {
  char target[PATH_MAX];
  ssize_t length = readlink(p->path, target, sizeof target - 1);
  /* Somebody else may have put a link there since. */
  if (length > 0 && (size_t)length == strlen(p->slave) && memcmp(target, p->slave, (size_t)length) == 0) unlink(p->path);
  close(p->fd);
}

const port_kind pty_port = {false, open_pty, close_pty, NULL};
