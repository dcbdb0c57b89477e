/*
 * A button and an LED on the USB or serial port of any board.
 *
 * In the router they are /dev/button-led/button, an event for each press, /dev/button-led/pressed, true while the button
 * is down, and /dev/button-led/led, which is switched by writing true or false to it. When the router goes away, the LED
 * goes out.
 *
 * Wiring: a button between BUTTON_PIN and GND.
 */
#include <ClaspLink.h>

const uint8_t BUTTON_PIN = 2;
const uint8_t NOISE_PIN = A0;           // nothing is connected to it
const uint32_t DEBOUNCE_MS = 20;

enum { BUTTON, PRESSED, LED };          // the places of the signals in the table

static const clasp_signal SIGNALS[] CLASP_ROM = {
  // address, type, flags, minimum, maximum, unit, safe value
  {"button", CLASP_NULL, CLASP_EVENT | CLASP_OUT, 0, 0, "", 0},
  {"pressed", CLASP_BOOL, CLASP_PARAM | CLASP_OUT, 0, 0, "", 0},
  {"led", CLASP_BOOL, CLASP_PARAM | CLASP_IN | CLASP_SAFE, 0, 0, "", 0},
};

// Each board needs its own: change a digit for the next one.
static const uint8_t UID[8] = {0x62, 0x75, 0x74, 0x74, 0x6F, 0x6E, 0x00, 0x01};

clasp_config config;
clasp_link device;

// Somebody wrote to a signal, or the link died (input->why is CLASP_FELL_BACK and the value is the safe one).
void onInput(void *, uint16_t signal, const clasp_input *input) {
  if (signal == LED && input->type == CLASP_BOOL) digitalWrite(LED_BUILTIN, input->value.i ? HIGH : LOW);
}

void setup() {
  pinMode(BUTTON_PIN, INPUT_PULLUP);
  pinMode(LED_BUILTIN, OUTPUT);
  Serial.begin(115200);

  config.name = "button-led";
  config.firmware = "1.0";
  config.uid = UID;
  config.signals = SIGNALS;
  config.signal_count = sizeof SIGNALS / sizeof SIGNALS[0];
  config.baud = 115200;
  config.on_input = onInput;
  claspUse(config, Serial);
  clasp_init(&device, &config, claspNonce(NOISE_PIN), micros());
  clasp_set_int(&device, PRESSED, 0);
}

void loop() {
  static bool isDown = false;
  static uint32_t changedAt = 0;

  clasp_poll(&device, micros());

  bool isDownNow = digitalRead(BUTTON_PIN) == LOW;
  if (isDownNow != isDown && millis() - changedAt > DEBOUNCE_MS) {
    isDown = isDownNow;
    changedAt = millis();
    clasp_set_int(&device, PRESSED, isDown);
    if (isDown) {
      clasp_value nothing = {0};
      clasp_emit(&device, BUTTON, nothing);   // an old press is worth nothing: it is dropped without a link
    }
  }
}
