/*
 * A cable between two ports of the ALSA sequencer, which stays plugged in when this program has ended.
 *
 *   midi-cable FROM TO
 *
 * FROM, TO: numbers of clients, of which port 0 is meant; /proc/asound/seq/clients has them.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sound/asequencer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

int main(int argc, char **argv) {
  struct snd_seq_port_subscribe cable;
  int fd = open("/dev/snd/seq", O_RDWR);
  memset(&cable, 0, sizeof cable);
  if (argc == 3) {
    cable.sender.client = (unsigned char)atoi(argv[1]);
    cable.dest.client = (unsigned char)atoi(argv[2]);
  }
  if (argc != 3 || fd < 0 || ioctl(fd, SNDRV_SEQ_IOCTL_SUBSCRIBE_PORT, &cable) < 0) {
    perror("midi-cable");
    return 1;
  }
  return 0;
}
