/*
 * Temperature and light of a room, with the router's own choice of how often.
 *
 * The router may set how often each signal is sampled and how much it must change to be worth sending, for example
 *   clasp-edge set /dev/room/$config/temperature '{"interval": 5000, "deadband": 0.2}'
 * The line starts with 115200 baud and goes faster if the router wants to (maxBaudRate of the port).
 *
 * Wiring: a TMP36 at A1 (10 mV/°C, 500 mV at 0 °C), a photo resistor with 10 kΩ as a divider at A2.
 */
#include <ClaspLink.h>

const uint8_t NOISE_PIN = A0;           // nothing is connected to it
const uint8_t TEMPERATURE_PIN = A1;
const uint8_t LIGHT_PIN = A2;
const uint32_t BAUD = 115200;
const uint16_t SAMPLE_MS = 1000;        // unless the router wants something else
const float VOLTS_PER_STEP = 5.0f / 1023.0f;

enum { TEMPERATURE, LIGHT, UPTIME };

static const clasp_signal SIGNALS[] CLASP_ROM = {
  {"temperature", CLASP_F32, CLASP_PARAM | CLASP_OUT | CLASP_RANGE, -40, 125, "\xC2\xB0" "C", 0},
  {"light", CLASP_UNIT16, CLASP_PARAM | CLASP_OUT, 0, 0, "", 0},
  {"uptime", CLASP_I32, CLASP_PARAM | CLASP_OUT, 0, 0, "s", 0},
};

static const uint8_t UID[8] = {0x72, 0x6F, 0x6F, 0x6D, 0x00, 0x00, 0x00, 0x01};

clasp_config config;
clasp_link device;

// The library has waited until everything that was written has left.
void setBaud(void *, uint32_t baud) {
  Serial.end();
  Serial.begin(baud != 0 ? baud : BAUD);
}

void onState(void *, clasp_state state) {
  digitalWrite(LED_BUILTIN, state == CLASP_RUNNING ? HIGH : LOW);
}

void setup() {
  pinMode(LED_BUILTIN, OUTPUT);
  Serial.begin(BAUD);

  config.name = "room";
  config.firmware = "1.0";
  config.uid = UID;
  config.signals = SIGNALS;
  config.signal_count = sizeof SIGNALS / sizeof SIGNALS[0];
  config.baud = BAUD;
  config.max_baud = 1000000;
  config.set_baud = setBaud;
  config.on_state = onState;
  claspUse(config, Serial);
  clasp_init(&device, &config, claspNonce(NOISE_PIN), micros());
}

// It is time for this signal again.
bool isDue(uint16_t signal, uint32_t *sampledAt) {
  uint16_t interval = clasp_interval(&device, signal);
  if (millis() - *sampledAt < (interval != 0 ? interval : SAMPLE_MS)) return false;
  *sampledAt = millis();
  return true;
}

void loop() {
  static uint32_t temperatureAt = 0, lightAt = 0, uptimeAt = 0;

  clasp_poll(&device, micros());

  // A value that did not change is not sent again, so there is no need to compare here.
  if (isDue(TEMPERATURE, &temperatureAt)) {
    float volts = analogRead(TEMPERATURE_PIN) * VOLTS_PER_STEP;
    clasp_set_float(&device, TEMPERATURE, (volts - 0.5f) * 100.0f);
  }
  if (isDue(LIGHT, &lightAt)) clasp_set_float(&device, LIGHT, analogRead(LIGHT_PIN) / 1023.0f);
  if (isDue(UPTIME, &uptimeAt)) clasp_set_int(&device, UPTIME, static_cast<int32_t>(millis() / 1000));
}
