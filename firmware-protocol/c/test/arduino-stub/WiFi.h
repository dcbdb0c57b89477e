#ifndef WIFI_STUB_H
#define WIFI_STUB_H

#include "Arduino.h"

class WiFiClass {
 public:
  int begin(const char *name, const char *password);
  uint8_t *macAddress(uint8_t *mac);
};

extern WiFiClass WiFi;

#endif
