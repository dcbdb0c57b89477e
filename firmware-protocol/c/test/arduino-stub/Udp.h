#ifndef UDP_STUB_H
#define UDP_STUB_H

#include "Arduino.h"

class UDP : public Stream {
 public:
  using Print::write;
  using Stream::read;
  virtual uint8_t begin(uint16_t port) = 0;
  virtual int beginPacket(IPAddress to, uint16_t port) = 0;
  virtual int endPacket() = 0;
  virtual int parsePacket() = 0;
  virtual int read(unsigned char *bytes, size_t room) = 0;
};

#endif
