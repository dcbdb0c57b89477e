import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ControllerOptions, Controllers } from '../../../runtime/bridges/midi/controllers.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'

function listener(options: Partial<ControllerOptions> = {}) {
  const clock = new SteppedClock()
  const said: string[] = []
  const controllers = new Controllers(
    { cc14: [], nrpn: true, nrpn7: false, rawCc: false, ...options },
    {
      onController: (channel, controller, value) => said.push(`${channel} cc ${controller} = ${value}`),
      onFineController: (channel, controller, value) => said.push(`${channel} cc14 ${controller} = ${value}`),
      onParameter: (channel, kind, number, value, highest) =>
        said.push(`${channel} ${kind} ${number} = ${value} of ${highest}`),
    },
    clock,
  )
  /** Pairs of controller and value, in channel 0. */
  const take = (...pairs: [controller: number, value: number][]) => {
    for (const [controller, value] of pairs) controllers.take(0, controller, value)
  }
  return { clock, said, take, controllers }
}

test('a pair of controllers is told once, as 14 bits', () => {
  const { clock, said, take } = listener({ cc14: [1] })
  take([1, 64], [33, 5])
  assert.deepEqual(said, ['0 cc14 1 = 8197'])
  clock.advance(10)
  assert.equal(said.length, 1)
})

test('an upper half alone is told after 2 ms, and a later lower half refines it', () => {
  const { clock, said, take } = listener({ cc14: [1] })
  take([1, 64])
  clock.advance(1.9)
  assert.deepEqual(said, [])
  clock.advance(0.2)
  assert.deepEqual(said, ['0 cc14 1 = 8192'])
  take([33, 7])
  assert.deepEqual(said, ['0 cc14 1 = 8192', '0 cc14 1 = 8199'])
  assert.equal(clock.pendingTimers, 0)
})

test('an NRPN is a selection and data', () => {
  const { said, take } = listener()
  take([99, 1], [98, 8], [6, 100], [38, 3], [101, 127], [100, 127])
  assert.deepEqual(said, ['0 nrpn 136 = 12803 of 16383'])
  take([6, 100])
  assert.equal(said[1], '0 cc 6 = 100')
})

test('what waits is told before another parameter is selected, or another message comes', () => {
  const { said, take, controllers } = listener()
  take([101, 0], [100, 1], [6, 2], [100, 2], [6, 3])
  assert.deepEqual(said, ['0 rpn 1 = 256 of 16383'])
  controllers.settle(0)
  assert.deepEqual(said, ['0 rpn 1 = 256 of 16383', '0 rpn 2 = 384 of 16383'])
})

test('parameters step up and down from what they were, and not beyond their ends', () => {
  const { said, take } = listener()
  take([99, 0], [98, 5], [6, 0], [38, 1], [96, 0], [97, 0], [97, 0], [97, 0])
  assert.deepEqual(
    said.map((text) => text.split(' ')[4]),
    ['1', '2', '1', '0', '0'],
  )
})

test('parameters of 7 bits, and the controllers themselves, can be had', () => {
  const { clock, said, take } = listener({ nrpn7: true, rawCc: true })
  take([99, 0], [98, 5], [6, 9])
  clock.advance(3)
  assert.deepEqual(said, ['0 cc 99 = 0', '0 cc 98 = 5', '0 cc 6 = 9', '0 nrpn 5 = 9 of 127'])
})

test('without NRPN all controllers are themselves', () => {
  const { said, take } = listener({ nrpn: false })
  take([99, 1], [98, 8], [6, 100])
  assert.deepEqual(said, ['0 cc 99 = 1', '0 cc 98 = 8', '0 cc 6 = 100'])
})

test('upper halves that never get a lower one are bounded, and all told', () => {
  const { clock, said, controllers } = listener({ cc14: Array.from({ length: 32 }, (_, at) => at), nrpn: false })
  for (let at = 0; at < 512; at++) controllers.take(at >> 5, at & 31, 1)
  assert.equal(said.length, 512 - 64)
  clock.advance(3)
  assert.equal(said.length, 512)
})
