/** A board that can be flashed, by the name for `--board`. */
export interface Board {
  title: string
  /** What flashes it. */
  tool: 'avrdude' | 'esptool' | 'picotool'
  /** Arguments of avrdude; from the board definitions of the Arduino IDE. */
  avr?: { part: string; programmer: string; baud: number }
  /** Name of the chip for esptool. */
  chip?: string
}

export const BOARDS: Readonly<Record<string, Board>> = {
  uno: {
    title: 'Arduino Uno',
    tool: 'avrdude',
    avr: { part: 'atmega328p', programmer: 'arduino', baud: 115_200 },
  },
  nano: {
    title: 'Arduino Nano',
    tool: 'avrdude',
    avr: { part: 'atmega328p', programmer: 'arduino', baud: 115_200 },
  },
  'nano-old': {
    title: 'Arduino Nano with the boot loader of before 2018',
    tool: 'avrdude',
    avr: { part: 'atmega328p', programmer: 'arduino', baud: 57_600 },
  },
  mega: {
    title: 'Arduino Mega 2560',
    tool: 'avrdude',
    avr: { part: 'atmega2560', programmer: 'wiring', baud: 115_200 },
  },
  esp8266: { title: 'ESP8266', tool: 'esptool', chip: 'esp8266' },
  esp32: { title: 'ESP32', tool: 'esptool', chip: 'esp32' },
  esp32s2: { title: 'ESP32-S2', tool: 'esptool', chip: 'esp32s2' },
  esp32s3: { title: 'ESP32-S3', tool: 'esptool', chip: 'esp32s3' },
  esp32c3: { title: 'ESP32-C3', tool: 'esptool', chip: 'esp32c3' },
  esp32c6: { title: 'ESP32-C6', tool: 'esptool', chip: 'esp32c6' },
  pico: { title: 'Raspberry Pi Pico', tool: 'picotool' },
  pico2: { title: 'Raspberry Pi Pico 2', tool: 'picotool' },
}

interface KnownUsb {
  title: string
  /** Key of BOARDS, where the ids tell. */
  board?: string
}

/** By vendor and product; of the vendor alone where its boards have many products. */
const USB: Readonly<Record<string, KnownUsb>> = {
  '2341:0001': { title: 'Arduino Uno', board: 'uno' },
  '2341:0043': { title: 'Arduino Uno R3', board: 'uno' },
  '2a03:0043': { title: 'Arduino Uno R3', board: 'uno' },
  '2341:0010': { title: 'Arduino Mega 2560', board: 'mega' },
  '2341:0042': { title: 'Arduino Mega 2560 R3', board: 'mega' },
  '2a03:0042': { title: 'Arduino Mega 2560 R3', board: 'mega' },
  '2341:8036': { title: 'Arduino Leonardo' },
  '2341:8037': { title: 'Arduino Micro' },
  '2341': { title: 'Arduino board' },
  '2a03': { title: 'Arduino board' },
  '2e8a:0003': { title: 'Raspberry Pi Pico in its boot loader', board: 'pico' },
  '2e8a:0005': { title: 'Raspberry Pi Pico with MicroPython', board: 'pico' },
  '2e8a:000a': { title: 'Raspberry Pi Pico', board: 'pico' },
  '2e8a:0009': { title: 'Raspberry Pi Pico 2', board: 'pico2' },
  '2e8a:000c': { title: 'Raspberry Pi Debug Probe' },
  '2e8a': { title: 'RP2040 board' },
  '303a:1001': { title: 'ESP32-S3, C3 or C6 by its own USB' },
  '303a': { title: 'Espressif board' },
  '239a': { title: 'Adafruit board' },
  '16c0:0483': { title: 'Teensy' },
  '0483:374b': { title: 'ST-LINK of a Nucleo board' },
  '0483:5740': { title: 'STM32 by its own USB' },
  '10c4:ea60': { title: 'CP210x adapter, as on many ESP32 boards' },
  '1a86:7523': { title: 'CH340 adapter, as on many Nano and ESP boards' },
  '1a86:55d4': { title: 'CH9102 adapter, as on many ESP32 boards' },
  '0403': { title: 'FTDI adapter' },
  '067b:2303': { title: 'PL2303 adapter' },
}

/** What is known of a USB device by its ids. */
export function knownUsb(vendorId: string | undefined, productId: string | undefined): KnownUsb | undefined {
  return vendorId === undefined ? undefined : (USB[`${vendorId}:${productId}`] ?? USB[vendorId])
}
