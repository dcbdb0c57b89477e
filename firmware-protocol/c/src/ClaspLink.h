/*
 * clasp_link in Arduino sketches: connects it to a Stream, such as Serial, or to UDP.
 *
 *     claspUse(config, Serial);       // before clasp_init
 *
 * The library is compiled apart from the sketch, so sizes such as CLASP_LINK_SIGNALS cannot be defined in the sketch:
 * PlatformIO has build_flags for that, the ESP32 and ESP8266 cores a file build_opt.h beside the sketch, arduino-cli
 * --build-property "build.extra_flags=-DCLASP_LINK_SIGNALS=32".
 */
#ifndef CLASPLINK_H
#define CLASPLINK_H

#include <Arduino.h>

#include "clasp_link.h"

inline size_t claspWriteStream(void *context, const uint8_t *bytes, size_t count) {
  Stream *stream = static_cast<Stream *>(context);
  int room = stream->availableForWrite();
  if (room <= 0) return 0;
  return stream->write(bytes, static_cast<size_t>(room) < count ? static_cast<size_t>(room) : count);
}

inline size_t claspWriteWaiting(void *context, const uint8_t *bytes, size_t count) {
  return static_cast<Stream *>(context)->write(bytes, count);
}

inline size_t claspReadStream(void *context, uint8_t *bytes, size_t room) {
  Stream *stream = static_cast<Stream *>(context);
  size_t count = 0;
  while (count < room && stream->available() > 0) bytes[count++] = static_cast<uint8_t>(stream->read());
  return count;
}

/* The link runs over this stream, which the sketch begins. It becomes the context of the configuration. */
inline void claspUse(clasp_config &config, Stream &stream) {
  config.form = CLASP_SERIAL;
  config.context = &stream;
  config.read = claspReadStream;
  config.write = claspWriteStream;
}

/* The same for streams that do not tell how much they can take, such as SoftwareSerial: writing then takes its time. */
inline void claspUseWaiting(clasp_config &config, Stream &stream) {
  claspUse(config, stream);
  config.write = claspWriteWaiting;
}

#if CLASP_LINK_DATAGRAM
#include <Udp.h>

/* Where the datagrams go: the sketch begins `udp` with any port. `router` may be the network's broadcast address. */
struct ClaspUdp {
  UDP *udp;
  IPAddress router;
  uint16_t port;
};

inline size_t claspWriteUdp(void *context, const uint8_t *bytes, size_t count) {
  ClaspUdp *to = static_cast<ClaspUdp *>(context);
  /* What cannot be sent now is lost, as datagrams are: the library sends it again if it matters. */
  if (to->udp->beginPacket(to->router, to->port)) {
    to->udp->write(bytes, count);
    to->udp->endPacket();
  }
  return count;
}

inline size_t claspReadUdp(void *context, uint8_t *bytes, size_t room) {
  UDP *udp = static_cast<ClaspUdp *>(context)->udp;
  int count;
  if (udp->parsePacket() <= 0) return 0;
  count = udp->read(bytes, room);
  return count > 0 ? static_cast<size_t>(count) : 0;
}

inline void claspUse(clasp_config &config, ClaspUdp &udp) {
  config.form = CLASP_DATAGRAMS;
  config.context = &udp;
  config.read = claspReadUdp;
  config.write = claspWriteUdp;
}
#endif

/* A number that is another one at each start: from the chip's own source where there is one, else from the noise of an
 * analog input that nothing is connected to. Takes some milliseconds. */
inline uint32_t claspNonce(uint8_t pin) {
#if defined(ESP32)
  (void)pin;
  return esp_random();
#else
  uint32_t number = micros();
  for (uint8_t i = 0; i < 64; i++) number = (number << 5 | number >> 27) ^ static_cast<uint32_t>(analogRead(pin)) ^ micros();
  return number;
#endif
}

#endif
