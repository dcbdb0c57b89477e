/*
 * As much of the Arduino core as the examples and ClaspLink.h use, declared only: for compiling, not for running.
 */
#ifndef ARDUINO_STUB_H
#define ARDUINO_STUB_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HIGH 1
#define LOW 0
#define INPUT 0
#define OUTPUT 1
#define INPUT_PULLUP 2
#define LED_BUILTIN 13

static const uint8_t A0 = 14, A1 = 15, A2 = 16;

void pinMode(uint8_t pin, uint8_t mode);
void digitalWrite(uint8_t pin, uint8_t value);
int digitalRead(uint8_t pin);
int analogRead(uint8_t pin);
void analogWrite(uint8_t pin, int value);
unsigned long millis(void);
unsigned long micros(void);
void setup(void);
void loop(void);

class Print {
 public:
  virtual size_t write(uint8_t byte) = 0;
  virtual size_t write(const uint8_t *bytes, size_t count);
  virtual int availableForWrite();
};

class Stream : public Print {
 public:
  virtual int available() = 0;
  virtual int read() = 0;
  virtual int peek() = 0;
};

class HardwareSerial : public Stream {
 public:
  using Print::write;
  void begin(unsigned long baud);
  void end();
  virtual size_t write(uint8_t byte);
  virtual int available();
  virtual int read();
  virtual int peek();
};

extern HardwareSerial Serial;

#ifdef __AVR__
#include <avr/interrupt.h>
#include <avr/io.h>
#define noInterrupts() cli()
#define interrupts() sei()
#else
#define noInterrupts()
#define interrupts()
/* The second UART of an ATmega32U4, for the sketch that needs it. */
extern volatile uint8_t UCSR1A, UCSR1B, UCSR1C;
extern volatile uint16_t UBRR1;
extern volatile uint8_t registerOfBytes1;
#define UDR1 registerOfBytes1
#define _BV(bit) (1 << (bit))
enum { FE1 = 4, RXEN1 = 4, RXCIE1 = 7, UCSZ10 = 1, UCSZ11 = 2, USBS1 = 3 };
#define F_CPU 16000000UL
#define ISR(vector) extern "C" void vector(void); void vector(void)
#endif

#include "IPAddress.h"

#endif
