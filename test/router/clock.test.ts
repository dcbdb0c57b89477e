import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { systemClock } from '../../runtime/router/clock.ts'

const DAY_MS = 86_400_000

test('a timer of many days goes off in its time, and not before', () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    const fired: string[] = []
    systemClock.timer(60 * DAY_MS, () => fired.push('sixty days'))
    systemClock.timer(60 * DAY_MS, () => fired.push('cancelled')).cancel()
    const late = systemClock.timer(60 * DAY_MS, () => fired.push('cancelled late'))
    for (let day = 0; day < 59; day++) mock.timers.tick(DAY_MS)
    late.cancel()
    assert.deepEqual(fired, [])
    // Timers that are set within a tick count from its end.
    for (let day = 0; day < 4; day++) mock.timers.tick(DAY_MS)
    assert.deepEqual(fired, ['sixty days'])
  } finally {
    mock.timers.reset()
  }
})
