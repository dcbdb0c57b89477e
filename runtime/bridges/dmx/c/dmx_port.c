#define _GNU_SOURCE
#include "dmx_port.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BAUD 250000u
/* Receivers bear 2 % (E1.11). */
#define BAUD_TOLERANCE (BAUD / 50)

static int set_up(int fd, uint8_t flags) {
  struct termios2 t;
  if (ioctl(fd, TCGETS2, &t) < 0) return -errno;
  t.c_iflag = (flags & PORT_INPUT) ? PARMRK : 0;
  t.c_oflag = 0;
  t.c_lflag = 0;
  t.c_cflag = BOTHER | (BOTHER << IBSHIFT) | CS8 | CSTOPB | CREAD | CLOCAL;
  t.c_ispeed = t.c_ospeed = BAUD;
  t.c_cc[VMIN] = 1;
  t.c_cc[VTIME] = 0;
  if (ioctl(fd, TCSETS2, &t) < 0 || ioctl(fd, TCGETS2, &t) < 0) return -errno;
  /* Drivers take the rate that comes nearest, without a word. */
  if (t.c_ospeed > BAUD + BAUD_TOLERANCE || t.c_ospeed < BAUD - BAUD_TOLERANCE) return -ERANGE;
  return 0;
}

int dmx_port_open(const char *path, uint8_t flags) {
  int rts = TIOCM_RTS, result;
  int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return -errno;
  if (flock(fd, LOCK_EX | LOCK_NB) < 0) result = -EBUSY;
  else result = set_up(fd, flags);
  if (result < 0) {
    close(fd);
    return result;
  }
  /* Pseudo-terminals have none of these, and work without. */
  ioctl(fd, TIOCEXCL);
  if (flags & PORT_RTS_LOW) ioctl(fd, TIOCMBIC, &rts);
  if (flags & PORT_RS485) {
    struct serial_rs485 rs485;
    memset(&rs485, 0, sizeof rs485);
    rs485.flags = SER_RS485_ENABLED | SER_RS485_RTS_ON_SEND;
    if (ioctl(fd, TIOCSRS485, &rs485) < 0 && errno != ENOTTY) {
      result = -errno;
      dmx_port_close(fd);
      return result;
    }
  }
  ioctl(fd, TCFLSH, TCIOFLUSH);
  return fd;
}

int dmx_port_break(int fd, bool is_on) { return ioctl(fd, is_on ? TIOCSBRK : TIOCCBRK) < 0 ? -errno : 0; }

static void wake_up(int number) { (void)number; }

int dmx_port_drain(int fd) {
  /* Not with SA_RESTART: the wait itself has no limit. */
  struct sigaction action;
  int result;
  memset(&action, 0, sizeof action);
  action.sa_handler = wake_up;
  sigaction(SIGALRM, &action, NULL);
  alarm(1);
  result = ioctl(fd, TCSBRK, 1) < 0 && errno == EINTR ? -ETIMEDOUT : 0;
  alarm(0);
  return result;
}

void dmx_port_close(int fd) {
  /* The kernel would wait up to 30 s for a port that takes nothing. */
  ioctl(fd, TCFLSH, TCOFLUSH);
  ioctl(fd, TIOCNXCL);
  close(fd);
}
