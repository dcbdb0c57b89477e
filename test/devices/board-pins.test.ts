import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boardById } from '../../boards/detect.ts'
import { findLine } from '../../devices/io/line-name.ts'
import { boardPins } from '../../runtime/devices/board-pins.ts'
import { fakeFiles } from '../boards/fake-files.ts'

test('a pin is found on the chip that sits where its own does, though labels and numbers have moved', async (t) => {
  const board = boardById('beaglebone-black')
  assert.ok(board)
  // A kernel in which gpio0 starts last: gpio1 has the first node, and the label of gpio0.
  const root = fakeFiles(t, {
    'sys/bus/gpio/devices/gpiochip0': { link: 'sys/devices/platform/ocp/4804c000.gpio/gpiochip0' },
    'sys/bus/gpio/devices/gpiochip3': { link: 'sys/devices/platform/ocp/44e07000.gpio/gpiochip3' },
  })
  const labels = { gpiochip0: 'gpio-0-31', gpiochip3: 'gpio-96-127' }
  const lines = Object.entries(labels).flatMap(([chip, label]) =>
    Array.from({ length: 32 }, (_, offset) => ({ chip, label, offset, name: '', consumer: '' })),
  )
  const place = (name: string, pins: Awaited<ReturnType<typeof boardPins>>) => {
    const { chip, offset } = findLine(name, lines, pins)
    return `${chip}:${offset}`
  }
  const pins = await boardPins(board, root)
  assert.equal(place('P9_12', pins), 'gpiochip0:28')
  assert.equal(place('P9_11', pins), 'gpiochip3:30')
  // Its chip is gpio2, which this kernel does not have.
  assert.throws(() => place('P8_7', pins), /shows no line for P8_7/)
  // Where the kernel does not say where chips are, labels have to do.
  assert.equal(place('P9_11', await boardPins(board, '/nowhere')), 'gpiochip0:30')
})
