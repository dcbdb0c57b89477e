/*
 * Brings a lighting desk to CLASP: eight DMX-512 slots as params from 0 to 1, on boards with an ATmega32U4 (Leonardo,
 * Micro), where USB is free for the link and the UART for DMX.
 *
 * /dev/desk/slot1 … slot8 follow the faders, /dev/desk/present tells whether the desk is there, and the first of the eight
 * slots is set by writing to /dev/desk/start.
 *
 * Wiring: an RS-485 receiver (MAX485, RE and DE to GND) with RO at pin 0 (RX1), A and B at pins 3 and 2 of the XLR.
 */
#include <ClaspLink.h>

#ifndef UDR1
#error "this sketch needs a board with a second UART whose registers are those of an ATmega32U4"
#endif

const uint8_t NOISE_PIN = A0;           // nothing is connected to it
const uint8_t SLOTS = 8;
const uint32_t LOST_MS = 1000;          // a desk repeats itself many times a second

enum { START = SLOTS, PRESENT };

static const clasp_signal SIGNALS[] CLASP_ROM = {
  // A byte on the wire is enough for a slot. Lossy: the next value is never far.
  {"slot1", CLASP_UNIT8, CLASP_PARAM | CLASP_OUT | CLASP_LOSSY, 0, 0, "", 0},
  {"slot2", CLASP_UNIT8, CLASP_PARAM | CLASP_OUT | CLASP_LOSSY, 0, 0, "", 0},
  {"slot3", CLASP_UNIT8, CLASP_PARAM | CLASP_OUT | CLASP_LOSSY, 0, 0, "", 0},
  {"slot4", CLASP_UNIT8, CLASP_PARAM | CLASP_OUT | CLASP_LOSSY, 0, 0, "", 0},
  {"slot5", CLASP_UNIT8, CLASP_PARAM | CLASP_OUT | CLASP_LOSSY, 0, 0, "", 0},
  {"slot6", CLASP_UNIT8, CLASP_PARAM | CLASP_OUT | CLASP_LOSSY, 0, 0, "", 0},
  {"slot7", CLASP_UNIT8, CLASP_PARAM | CLASP_OUT | CLASP_LOSSY, 0, 0, "", 0},
  {"slot8", CLASP_UNIT8, CLASP_PARAM | CLASP_OUT | CLASP_LOSSY, 0, 0, "", 0},
  {"start", CLASP_I16, CLASP_PARAM | CLASP_IN | CLASP_OUT | CLASP_RANGE, 1, 505, "", 0},
  {"present", CLASP_BOOL, CLASP_PARAM | CLASP_OUT, 0, 0, "", 0},
};

static const uint8_t UID[8] = {0x64, 0x6D, 0x78, 0x00, 0x00, 0x00, 0x00, 0x01};

clasp_config config;
clasp_link device;

// Shared with the interrupt.
volatile uint8_t levels[SLOTS];
volatile uint16_t firstSlot = 1;
volatile uint16_t packets = 0;

// One byte of DMX. A break, which starts a packet, is a byte without its stop bits; slot 0 says what the packet is about,
// and 0 means levels.
ISR(USART1_RX_vect) {
  static uint16_t slot = 0xFFFF;        // of the byte that comes next; FFFF: wait for the next packet
  bool isBreak = UCSR1A & _BV(FE1);     // must be read before the byte
  uint8_t byte = UDR1;
  if (isBreak) {
    slot = 0;
    return;
  }
  if (slot == 0xFFFF) return;
  if (slot == 0) {
    slot = byte == 0 ? 1 : 0xFFFF;
    if (byte == 0) packets = packets + 1;
    return;
  }
  if (slot >= firstSlot && slot < firstSlot + SLOTS) levels[slot - firstSlot] = byte;
  slot = slot < 512 ? slot + 1 : 0xFFFF;
}

void onInput(void *, uint16_t signal, const clasp_input *input) {
  if (signal != START || input->type != CLASP_I16 || input->value.i < 1 || input->value.i > 505) return;
  noInterrupts();
  firstSlot = static_cast<uint16_t>(input->value.i);
  interrupts();
}

void setup() {
  // 250 000 baud, 8 data bits, 2 stop bits, received by interrupt.
  UBRR1 = F_CPU / 16 / 250000 - 1;
  UCSR1A = 0;
  UCSR1C = _BV(USBS1) | _BV(UCSZ11) | _BV(UCSZ10);
  UCSR1B = _BV(RXEN1) | _BV(RXCIE1);
  Serial.begin(115200);                 // USB: the number does not matter

  config.name = "desk";
  config.firmware = "1.0";
  config.uid = UID;
  config.signals = SIGNALS;
  config.signal_count = sizeof SIGNALS / sizeof SIGNALS[0];
  config.on_input = onInput;
  claspUse(config, Serial);
  clasp_init(&device, &config, claspNonce(NOISE_PIN), micros());
  clasp_set_int(&device, START, firstSlot);
}

void loop() {
  static uint16_t packetsBefore = 0;
  static uint32_t packetAt = 0;

  clasp_poll(&device, micros());

  noInterrupts();
  uint16_t packetsNow = packets;
  interrupts();
  if (packetsNow != packetsBefore) {
    packetsBefore = packetsNow;
    packetAt = millis();
    clasp_set_int(&device, PRESENT, 1);
    // Only what changed goes over the line, and only the newest value.
    for (uint8_t i = 0; i < SLOTS; i++) clasp_set_float(&device, i, levels[i] / 255.0f);
  } else if (millis() - packetAt > LOST_MS) {
    clasp_set_int(&device, PRESENT, 0);
  }
}
