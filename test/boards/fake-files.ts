import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import type { TestContext } from 'node:test'

/** A file with a content, or a link to another place of the tree. */
export type FakeFile = string | { link: string }

/** A tree of files in a temporary folder that stands for `/`, removed with the test. */
export function fakeFiles(t: TestContext, files: Readonly<Record<string, FakeFile>>): string {
  const root = mkdtempSync(join(tmpdir(), 'clasp-edge-system-'))
  t.after(() => rmSync(root, { recursive: true, force: true }))
  for (const [path, file] of Object.entries(files)) {
    const place = join(root, path)
    mkdirSync(dirname(place), { recursive: true })
    if (typeof file === 'string') writeFileSync(place, file)
    else {
      const target = join(root, file.link)
      mkdirSync(target, { recursive: true })
      symlinkSync(relative(dirname(place), target), place)
    }
  }
  return root
}

const PLATFORM = 'sys/devices/platform'

/** What Raspberry Pi OS shows of a Pi 4 with I2C on. */
export const PI_4: Readonly<Record<string, FakeFile>> = {
  'proc/device-tree/model': 'Raspberry Pi 4 Model B Rev 1.5\0',
  'proc/device-tree/compatible': 'raspberrypi,4-model-b\0brcm,bcm2711\0',
  'sys/bus/gpio/devices/gpiochip0': { link: `${PLATFORM}/soc/fe200000.gpio/gpiochip0` },
  'sys/bus/gpio/devices/gpiochip1': { link: `${PLATFORM}/soc/soc:firmware/soc:firmware:gpio/gpiochip1` },
  'sys/bus/i2c/devices/i2c-1': { link: `${PLATFORM}/soc/fe804000.i2c/i2c-1` },
  'sys/bus/i2c/devices/i2c-20': { link: `${PLATFORM}/soc/fef04500.i2c/i2c-20` },
  'sys/class/tty/ttyS0': { link: `${PLATFORM}/soc/fe215040.serial/tty/ttyS0` },
  'sys/class/tty/ttyAMA0': { link: `${PLATFORM}/soc/fe201000.serial/tty/ttyAMA0` },
  'dev/gpiochip0': '',
  'dev/i2c-1': '',
  'dev/ttyS0': '',
  'dev/ttyAMA0': '',
  'boot/firmware/config.txt': '# comment\ndtparam=i2c_arm=on\n[pi5]\ndtparam=spi=on\n[all]\nenable_uart=1\n',
}
