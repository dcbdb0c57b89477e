/*
 * A DC motor behind an H-bridge, that stops when nobody is in control of it any more.
 *
 * /dev/motor/speed is written with -1 (full speed back) to 1, /dev/motor/ramp with how much of full speed it may gain or
 * lose in a second; /dev/motor/actual is how fast it really goes, /dev/motor/atLimit which end switch holds it. When the
 * link dies (router stopped, cable out, this sketch too slow), speed falls back to its safe value 0 and the motor stops at
 * once, without a ramp. An end switch stops it in its direction, whatever is written.
 *
 * Wiring: an H-bridge with PWM at pin 9 and direction at pin 8; end switches between pins 2 and 3 and GND, which open at
 * the end, so that a broken wire stops the motor, too.
 */
#include <ClaspLink.h>

const uint8_t PWM_PIN = 9;
const uint8_t DIRECTION_PIN = 8;
const uint8_t LOWER_END_PIN = 2;
const uint8_t UPPER_END_PIN = 3;
const uint8_t NOISE_PIN = A0;           // nothing is connected to it
const uint32_t STEP_MS = 10;            // how often speed and switches are looked at

enum { WANTED, RAMP_LIMIT, ACTUAL, AT_LIMIT };

static const clasp_signal SIGNALS[] CLASP_ROM = {
  {"speed", CLASP_F32, CLASP_PARAM | CLASP_IN | CLASP_RANGE | CLASP_SAFE, -1, 1, "", 0},
  {"ramp", CLASP_F32, CLASP_PARAM | CLASP_IN | CLASP_OUT | CLASP_RANGE, 0.1f, 10, "1/s", 0},
  {"actual", CLASP_F32, CLASP_PARAM | CLASP_OUT | CLASP_LOSSY, 0, 0, "", 0},
  {"atLimit", CLASP_I8, CLASP_PARAM | CLASP_OUT | CLASP_RANGE, -1, 1, "", 0},
};

static const uint8_t UID[8] = {0x6D, 0x6F, 0x74, 0x6F, 0x72, 0x00, 0x00, 0x01};

clasp_config config;
clasp_link device;

float wanted = 0;
float actual = 0;
float ramp = 1;

void drive() {
  digitalWrite(DIRECTION_PIN, actual < 0 ? HIGH : LOW);
  analogWrite(PWM_PIN, static_cast<int>((actual < 0 ? -actual : actual) * 255.0f + 0.5f));
  clasp_set_float(&device, ACTUAL, actual);
}

void onInput(void *, uint16_t signal, const clasp_input *input) {
  if (input->type != CLASP_F32) return;
  float value = input->value.f;
  // The router keeps to the declared range. A motor does not rely on that; a NaN fails both comparisons.
  if (signal == RAMP_LIMIT && value >= 0.1f && value <= 10) ramp = value;
  if (signal != WANTED || !(value >= -1 && value <= 1)) return;
  if (input->why == CLASP_INITIAL) return;  // what was wanted before we were there must not start it
  wanted = value;
  if (input->why == CLASP_FELL_BACK) {
    actual = 0;
    drive();
  }
}

void setup() {
  pinMode(PWM_PIN, OUTPUT);
  pinMode(DIRECTION_PIN, OUTPUT);
  pinMode(LOWER_END_PIN, INPUT_PULLUP);
  pinMode(UPPER_END_PIN, INPUT_PULLUP);
  analogWrite(PWM_PIN, 0);
  Serial.begin(115200);

  config.name = "motor";
  config.firmware = "1.0";
  config.uid = UID;
  config.signals = SIGNALS;
  config.signal_count = sizeof SIGNALS / sizeof SIGNALS[0];
  config.baud = 115200;
  config.on_input = onInput;
  claspUse(config, Serial);
  clasp_init(&device, &config, claspNonce(NOISE_PIN), micros());
  clasp_set_float(&device, RAMP_LIMIT, ramp);
}

void loop() {
  static uint32_t stepAt = 0;

  clasp_poll(&device, micros());

  if (millis() - stepAt < STEP_MS) return;
  float seconds = (millis() - stepAt) / 1000.0f;
  stepAt = millis();

  bool isAtLower = digitalRead(LOWER_END_PIN) == HIGH;
  bool isAtUpper = digitalRead(UPPER_END_PIN) == HIGH;
  float target = wanted;
  if (isAtLower && target < 0) target = 0;
  if (isAtUpper && target > 0) target = 0;

  float change = ramp * seconds;
  if ((isAtLower && actual < 0) || (isAtUpper && actual > 0)) actual = 0;
  else if (actual < target) actual = actual + change < target ? actual + change : target;
  else if (actual > target) actual = actual - change > target ? actual - change : target;
  drive();
  clasp_set_int(&device, AT_LIMIT, isAtLower ? -1 : isAtUpper ? 1 : 0);
}
