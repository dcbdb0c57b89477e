import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EchoWindow } from '../../runtime/bridges/echo-window.ts'
import { SteppedClock } from '../router/stepped-clock.ts'

test('what comes back is dropped once for each time it was told, and not when it comes late', () => {
  const clock = new SteppedClock()
  const window = new EchoWindow(50, clock)
  window.remember('k', '1')
  window.remember('k', '2')
  assert.deepEqual([window.takes('k', '1'), window.takes('k', '1'), window.takes('k', '2')], [true, false, true])
  window.remember('k', '3')
  assert.equal(window.takes('other', '3'), false)
  clock.advance(51)
  assert.equal(window.takes('k', '3'), false)
})
