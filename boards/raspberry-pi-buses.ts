import type { Bus, Enable } from './board.ts'

/** What the boards of the vendor have in common. Source: boot/overlays/README of the vendor's firmware. */

/** Addresses of the controllers, as in `Bus.address`. */
export interface CommonControllers {
  i2c1: string
  spi0: string
  spi1: string
}

const CONSOLE_PINS: Bus['pins'] = [
  ['GPIO14', 'TXD'],
  ['GPIO15', 'RXD'],
]

export function raspberryPiCommonBuses({ i2c1, spi0, spi1 }: CommonControllers): Bus[] {
  return [
    {
      kind: 'i2c',
      name: 'i2c1',
      address: i2c1,
      node: '/dev/i2c-1',
      pins: [
        ['GPIO2', 'SDA'],
        ['GPIO3', 'SCL'],
      ],
      enable: [configLine('dtparam=i2c_arm=on', 'dtparam=i2c=on', 'dtparam=i2c1=on')],
      note: 'pulled up to 3.3 V by 1.8 kΩ on the board',
    },
    {
      kind: 'spi',
      name: 'spi0',
      address: spi0,
      node: '/dev/spidev0.0',
      pins: [
        ['GPIO10', 'MOSI'],
        ['GPIO9', 'MISO'],
        ['GPIO11', 'SCLK'],
        ['GPIO8', 'CE0'],
        ['GPIO7', 'CE1'],
      ],
      enable: [configLine('dtparam=spi=on', 'dtoverlay=spi0-1cs', 'dtoverlay=spi0-2cs', 'dtoverlay=spi0-0cs')],
    },
    {
      kind: 'spi',
      name: 'spi1',
      address: spi1,
      node: '/dev/spidev1.0',
      pins: [
        ['GPIO20', 'MOSI'],
        ['GPIO19', 'MISO'],
        ['GPIO21', 'SCLK'],
        ['GPIO18', 'CE0'],
        ['GPIO17', 'CE1'],
        ['GPIO16', 'CE2'],
      ],
      enable: [configLine('dtoverlay=spi1-3cs', 'dtoverlay=spi1-1cs', 'dtoverlay=spi1-2cs')],
      note: 'spi1-1cs and spi1-2cs take fewer chip selects',
    },
    {
      kind: 'one-wire',
      name: 'one-wire',
      node: '/sys/bus/w1/devices/w1_bus_master1',
      pins: [['GPIO4', 'DATA']],
      enable: [configLine('dtoverlay=w1-gpio', 'dtoverlay=w1-gpio-pi5', 'dtoverlay=w1-gpio-pullup')],
      note: 'another pin: dtoverlay=w1-gpio,gpiopin=N; needs 4.7 kΩ to 3.3 V',
    },
  ]
}

export function configLine(line: string, ...same: string[]): Enable {
  return { file: 'config.txt', line, same }
}

/** An overlay with two pins. */
export function pair(
  kind: 'i2c' | 'uart',
  name: string,
  place: { address: string; node: string; overlay: string },
  [first, second]: readonly [number, number],
): Bus {
  const [firstRole, secondRole] = kind === 'i2c' ? ['SDA', 'SCL'] : ['TXD', 'RXD']
  return {
    kind,
    name,
    address: place.address,
    node: place.node,
    pins: [
      [`GPIO${first}`, firstRole],
      [`GPIO${second}`, secondRole],
    ],
    enable: [configLine(`dtoverlay=${place.overlay}`)],
  }
}

export const RASPBERRY_PI_TRAPS: readonly string[] = [
  'The pins stand 3.3 V and no more; 5 V on a pin destroys the chip.',
  'Since kernel 6.6 numbers in /sys/class/gpio begin at 512, so GPIO17 is 529 there: go by the names of the lines.',
  'GPIO0 and GPIO1 (pins 27, 28) are read at boot to find a HAT: leave them alone.',
]

/** Of the models with Bluetooth on the good UART. */
export const BLUETOOTH_UART_TRAP =
  'Bluetooth has the full UART (PL011). The header has the mini UART (/dev/ttyS0), whose speed hangs on the core clock ' +
  'and which detects no break and has no parity: for DMX or RS-485 use dtoverlay=disable-bt, or dtoverlay=miniuart-bt.'

/** UART 1 on the pins of the console; `address` as in `Bus`. */
export function miniUart(address: string): Bus {
  return {
    kind: 'uart',
    name: 'uart1',
    address,
    node: '/dev/ttyS0',
    pins: CONSOLE_PINS,
    enable: [configLine('enable_uart=1')],
    yieldsTo: 'uart0',
    note: 'the mini UART',
  }
}

/** UART 0 on the same pins, which Bluetooth has unless one of the `overlays` is loaded. */
export function fullUart(address: string, ...overlays: [first: string, ...others: string[]]): Bus {
  return {
    kind: 'uart',
    name: 'uart0',
    address,
    node: '/dev/ttyAMA0',
    pins: CONSOLE_PINS,
    enable: [configLine(...overlays)],
    needsLine: true,
    note: 'the full UART, taken from Bluetooth',
  }
}

/** The two PWM channels of the header. */
export function pwm(address: string): Bus {
  return {
    kind: 'pwm',
    name: 'pwm',
    address,
    node: '/sys/class/pwm/pwmchip0',
    pins: [
      ['GPIO18', 'PWM0'],
      ['GPIO19', 'PWM1'],
    ],
    enable: [configLine('dtoverlay=pwm-2chan', 'dtoverlay=pwm')],
    note: 'pins 12 and 13 instead: dtoverlay=pwm-2chan,pin=12,func=4,pin2=13,func2=4',
  }
}
