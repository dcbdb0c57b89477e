/*
 * A sensor over WLAN, for ESP32: the link in UDP datagrams. build_opt.h beside this file turns that form on; add
 * -DCLASP_LINK_AUTH=1 there, and the key of the device to the router's configuration and to KEY below, and nobody else
 * on the network can pretend to be this device.
 */
#include <ClaspLink.h>
#include <WiFi.h>
#include <WiFiUdp.h>

const char WLAN_NAME[] = "name of the network";
const char WLAN_PASSWORD[] = "its password";
const IPAddress ROUTER(192, 168, 1, 10);
const uint16_t ROUTER_PORT = 7330;
const uint8_t SENSOR_PIN = A0;
const uint32_t SAMPLE_MS = 100;

enum { LEVEL };

static const clasp_signal SIGNALS[] CLASP_ROM = {
  // Lossy: over WLAN, a value that was lost is better replaced by the next one than sent again.
  {"level", CLASP_UNIT16, CLASP_PARAM | CLASP_OUT | CLASP_LOSSY, 0, 0, "", 0},
};

#if CLASP_LINK_AUTH
// 32 bytes of your own, for example of `openssl rand -hex 32`.
static const uint8_t KEY[32] = {0};
#endif

uint8_t uid[8];
WiFiUDP udp;
ClaspUdp route = {&udp, ROUTER, ROUTER_PORT};
clasp_config config;
clasp_link device;

void setup() {
  WiFi.begin(WLAN_NAME, WLAN_PASSWORD);
  udp.begin(0);
  WiFi.macAddress(uid);                 // 6 bytes that no other device has; the rest stays 0

  config.name = "wifi-sensor";
  config.firmware = "1.0";
  config.uid = uid;
  config.signals = SIGNALS;
  config.signal_count = sizeof SIGNALS / sizeof SIGNALS[0];
#if CLASP_LINK_AUTH
  config.key = KEY;
#endif
  claspUse(config, route);
  clasp_init(&device, &config, claspNonce(SENSOR_PIN), micros());
}

void loop() {
  static uint32_t sampledAt = 0;

  clasp_poll(&device, micros());

  if (millis() - sampledAt >= SAMPLE_MS) {
    sampledAt = millis();
    clasp_set_float(&device, LEVEL, analogRead(SENSOR_PIN) / 4095.0f);
  }
}
