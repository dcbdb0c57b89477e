import type { Header } from './board.ts'
import { header } from './header.ts'

/** Kernels of Debian and older ones of the vendor name these lines by function. */
const OTHER_NAMES: Readonly<Record<string, readonly string[]>> = {
  GPIO0: ['ID_SDA', 'ID_SD'],
  GPIO1: ['ID_SCL', 'ID_SC'],
  GPIO2: ['SDA1'],
  GPIO3: ['SCL1'],
  GPIO4: ['GPIO_GCLK'],
  GPIO7: ['SPI_CE1_N'],
  GPIO8: ['SPI_CE0_N'],
  GPIO9: ['SPI_MISO'],
  GPIO10: ['SPI_MOSI'],
  GPIO11: ['SPI_SCLK'],
  GPIO14: ['TXD0', 'TXD1'],
  GPIO15: ['RXD0', 'RXD1'],
}

/**
 * The 40-pin header (J8) of every Raspberry Pi since the B+. GPIO0 and GPIO1 belong to the EEPROM of a HAT.
 * Source: raspberrypi.com/documentation, "GPIO and the 40-pin header"; line names: the vendor's device trees.
 */
export const raspberryPiHeader: Header = header(
  'J8',
  `
  3V3     5V
  GPIO2   5V
  GPIO3   GND
  GPIO4   GPIO14
  GND     GPIO15
  GPIO17  GPIO18
  GPIO27  GND
  GPIO22  GPIO23
  3V3     GPIO24
  GPIO10  GND
  GPIO9   GPIO25
  GPIO11  GPIO8
  GND     GPIO7
  GPIO0   GPIO1
  GPIO5   GND
  GPIO6   GPIO12
  GPIO13  GND
  GPIO19  GPIO16
  GPIO26  GPIO20
  GND     GPIO21
  `,
  {
    lineOf: (name) => (name.startsWith('GPIO') ? { chip: 'gpio', offset: Number(name.slice(4)) } : undefined),
    lineNamesOf: (name) => OTHER_NAMES[name] ?? [],
  },
)
