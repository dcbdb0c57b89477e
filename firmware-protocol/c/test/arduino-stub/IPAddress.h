#ifndef IPADDRESS_STUB_H
#define IPADDRESS_STUB_H

#include <stdint.h>

class IPAddress {
 public:
  IPAddress(uint8_t first, uint8_t second, uint8_t third, uint8_t fourth);
};

#endif
