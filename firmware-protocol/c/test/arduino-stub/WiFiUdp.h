#ifndef WIFIUDP_STUB_H
#define WIFIUDP_STUB_H

#include "Udp.h"

class WiFiUDP : public UDP {
 public:
  virtual uint8_t begin(uint16_t port);
  virtual int beginPacket(IPAddress to, uint16_t port);
  virtual int endPacket();
  virtual int parsePacket();
  virtual size_t write(uint8_t byte);
  virtual size_t write(const uint8_t *bytes, size_t count);
  virtual int available();
  virtual int read();
  virtual int read(unsigned char *bytes, size_t room);
  virtual int peek();
};

#endif
